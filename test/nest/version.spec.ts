import * as core from '@nestjs/core';
import { expect, it } from 'vitest';

const isNest11 = process.env.AQ_PEER_MODULES?.includes('nest11') === true;

// Nest 12 is an ES module, Nest 11 is CommonJS and so has a default export here: a run that says 11 must not be on 12.
it(`runs on Nest ${isNest11 ? 11 : 12}`, () => {
  expect('default' in core).toBe(isNest11);
});

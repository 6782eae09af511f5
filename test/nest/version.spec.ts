import * as core from '@nestjs/core';
import { expect, it } from 'vitest';

// Nest 12 is an ES module, Nest 11 is CommonJS and so has a default export here: a run that says 11 must not be on 12.
it(`runs on Nest ${process.env.AQ_NEST_MODULES === undefined ? 12 : 11}`, () => {
  expect('default' in core).toBe(process.env.AQ_NEST_MODULES !== undefined);
});

import type { OutboxLimits } from '../core/outbox.js';

export const OUTBOX_LIMITS: OutboxLimits = {
  frameItemsMax: 512,
  frameBytesMax: 512 * 1024,
  targetItemsMax: 10_000,
  targetBytesMax: 4 * 1024 * 1024,
  totalBytesMax: 64 * 1024 * 1024,
};

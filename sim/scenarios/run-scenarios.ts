import { type Options, UsageError } from '../cli.js';

export const scenarioNames = (): string[] => [];
export function runScenarios(name: string, _options: Options, _drain: () => void): boolean {
  throw new UsageError(`there is no scenario "${name}"`);
}

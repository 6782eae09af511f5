/**
 * Returns the value that all copies of this package in a process share. Copies are two installed versions, or the ESM and the
 * CommonJS build. The first copy makes the value.
 */
export function sharedByCopies<T>(name: string, make: () => T): T {
  const key = Symbol.for(`atomic-queues:${name}`);
  const holder = globalThis as { [key: symbol]: unknown };
  holder[key] ??= make();
  return holder[key] as T;
}

/**
 * Makes `instanceof` true for instances of the same class in other copies of this package. Subclasses keep the usual
 * `instanceof`. An instance of another version may lack members that the type of this version has.
 */
export function brandForCopies(type: abstract new (...args: never[]) => object, name: string): void {
  const brand = Symbol.for(`atomic-queues:${name}`);
  const usual = Function.prototype[Symbol.hasInstance];
  Object.defineProperty(type.prototype, brand, { value: true });
  Object.defineProperty(type, Symbol.hasInstance, {
    value(this: unknown, value: unknown): boolean {
      if (this !== type) return usual.call(this as () => void, value);
      return typeof value === 'object' && value !== null && brand in value;
    },
  });
}

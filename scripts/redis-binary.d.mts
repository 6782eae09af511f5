export declare function findRedisBinary(): string | undefined;

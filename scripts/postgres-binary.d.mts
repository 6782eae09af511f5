export declare function findPostgresPrograms(): string | undefined;

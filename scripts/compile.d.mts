export declare const ROOT: string;
export declare function compile(target: string): boolean;

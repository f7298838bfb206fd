/** JSON as a type. Not an instance of anything: dates, buffers and the like are turned into JSON before. */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** The Cedar schema and the policies that come with Trailkeeper, as text. */
import { readFileSync } from 'node:fs';

const read = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');

export const cedarSchema = read('schema.cedarschema');
/** In force in every instance besides what it publishes. */
export const platformPolicies = read('platform.cedar');
/** The set that an instance begins with. */
export const defaultPolicies = read('default.cedar');

/** Passwords of the duties' MongoDB users on one machine: made once, each in a file of its own (mode 600). */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { duties, type Duty } from '../../store/provisioning/duties.ts';
import { secretName } from '../config.ts';
import { secretFile } from './secretFile.ts';

/** `folder` is `config.folders.secrets`, where `loadConfig` finds them from then on. */
export function ensureDutyPasswords(folder: string): Record<Duty, string> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return Object.fromEntries(
    duties.map((duty) => [duty, secretFile(join(folder, secretName(duty)), 'base64url', 24)]),
  ) as Record<Duty, string>;
}

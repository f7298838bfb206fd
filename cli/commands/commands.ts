/** All commands, in the order in which --help lists them. */
import type { CliCommand } from '../command.ts';
import { action, decide, perform, settle } from './actions.ts';
import { publish, resume, suspend } from './control.ts';
import { archive } from './archive.ts';
import { checkProof } from './checkProof.ts';
import { diagnose } from './diagnose.ts';
import { download } from './download.ts';
import { events } from './events.ts';
import { evidence } from './evidence.ts';
import { createInstance, instances, probe } from './instances.ts';
import { keys } from './keys.ts';
import { checkpoint, correlate, disclose, gaps, prove } from './look.ts';
import { rebuild } from './rebuild.ts';
import { record } from './record.ts';
import { closeRun, handOff, openRun } from './runs.ts';
import { selfcheck } from './selfcheck.ts';
import { timeline } from './timeline.ts';
import { tools } from './tools.ts';
import { verify } from './verify.ts';
import { configureWitnesses, witnesses } from './witnesses.ts';

export const commands: readonly CliCommand[] = [
  timeline,
  diagnose,
  events,
  correlate,
  gaps,
  verify,
  selfcheck,
  download,
  checkpoint,
  prove,
  checkProof,
  disclose,
  evidence,
  tools,
  openRun,
  perform,
  action,
  decide,
  settle,
  handOff,
  closeRun,
  record,
  suspend,
  resume,
  publish,
  keys,
  witnesses,
  configureWitnesses,
  archive,
  rebuild,
  instances,
  createInstance,
  probe,
] as readonly CliCommand<never>[];

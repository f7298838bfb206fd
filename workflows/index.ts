/** Everything that a worker can be asked to run. */
export { action } from './action.ts';
export { createInstance } from './instances.ts';
export { isolationProbe } from './probe.ts';
export { run } from './run.ts';
export { repairProjections } from './repairProjections.ts';
export { selfVerification } from './selfVerification.ts';
export { destroyEpochKey, rotateKey, rotateMasterKey } from './keys.ts';

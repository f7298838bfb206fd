import { Context } from '@temporalio/activity';
import type { KeyActivities } from '../../domain/keys/contract.ts';
import { moveIdentities } from '../../store/move-identities.ts';
import { moveSubjects } from '../../trail/keys/move-subjects.ts';
import { rewrapAll } from '../../trail/keys/rewrap.ts';
import { Secrets } from '../../trail/keys/secrets.ts';
import type { KeyDeps } from './deps.ts';

/** Begins anew in each execution: what was moved before is not found again. */
export const createMoveToEpoch =
  ({ provider, keeper }: KeyDeps): KeyActivities['moveToEpoch'] =>
  async ({ instance }) => {
    const signal = Context.current().cancellationSignal;
    const { rewrapped, unreadable } = await rewrapAll(keeper, provider, instance, { signal });
    const secrets = new Secrets(instance, provider, keeper);
    const subjects = await moveSubjects(keeper, instance, secrets, { signal });
    const identities = await moveIdentities(keeper, instance, secrets);
    return {
      moved: rewrapped + subjects.moved + identities.moved,
      unreadable: unreadable.length + subjects.unreadable + identities.unreadable,
    };
  };

/** What resolvers ask of an instance's archive, and of a log that was restored from it. */
import type { Role } from '../schema/control.ts';
import type { PrincipalId } from '../schema/ids.ts';
import { findArchiveDemand } from '../store/archives.ts';
import { approveContinuation, type Continued } from '../store/continuation.ts';
import type { ControlState } from '../store/control-state.ts';
import type { ArchiveDemand } from '../trail/archive/acknowledgement.ts';
import { archivedSize } from '../trail/archive/state.ts';
import { findApprovals } from '../trail/closing.ts';
import type { KeyProvider } from '../trail/keys/provider.ts';
import type { Trail, TrailClients } from '../trail/trail.ts';
import type { WriterOptions } from '../trail/writer.ts';

export interface ArchiveLag {
  /** Number of entries that are in the archive. */
  readonly size: number;
  /** Number of acknowledged entries that are not, and how long the first of them has waited. */
  readonly behind: number;
  readonly lagMs: number;
}

export interface ArchiveServices {
  lag(nowMs: number): Promise<ArchiveLag>;
  demand(): Promise<ArchiveDemand | undefined>;
  /** Who approved that a closed log goes on. */
  approvedBy(): Promise<PrincipalId[]>;
  /** Undefined for a log that is open. */
  approve(approver: PrincipalId, reason: string, now: Date): Promise<Continued | undefined>;
}

/** Whose approval counts (schema/cedar/default.cedar says the same of the operation). */
const approverRoles: readonly Role[] = ['admin', 'compliance'];

export const archiveServices = (
  { instance, closing, reader: log }: Trail,
  control: ControlState,
  options: {
    readonly clients: TrailClients;
    readonly keys: KeyProvider;
    readonly writer?: Partial<WriterOptions>;
  },
): ArchiveServices => {
  const { reader } = options.clients;
  return {
    async lag(nowMs) {
      const [size, acknowledged] = await Promise.all([archivedSize(reader, instance), log.size()]);
      const behind = Math.max(0, acknowledged - size);
      const first = behind > 0 ? await log.at(size) : undefined;
      return { size, behind, lagMs: first ? Math.max(0, nowMs - Date.parse(first.entry.receivedTime)) : 0 };
    },
    demand: () => findArchiveDemand(reader, instance),
    async approvedBy() {
      const approvals = closing ? await findApprovals(reader, closing.origin) : [];
      return approvals.map(({ principal }) => principal as PrincipalId);
    },
    async approve(approver, reason, now) {
      if (!closing) return undefined;
      const stillMay = async (id: PrincipalId): Promise<boolean> => {
        const principal = await control.principal(id);
        return (
          principal !== undefined &&
          !principal.disabled &&
          principal.kind === 'human' &&
          principal.roles.some((role) => approverRoles.includes(role))
        );
      };
      return approveContinuation({ ...options, closing, approver, reason, stillMay, now });
    },
  };
};

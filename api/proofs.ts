import { describeProblem, type VerificationReport, type Warning } from '../domain/verify/report.ts';
import type { Resolvers } from '../schema/generated/resolvers.ts';
import { guarded } from './guard.ts';
import { consistencyProof, inclusionProof, servedCheckpoint } from './operations/proofs.ts';
import { verifyLog } from './operations/verifyLog.ts';
import type { RequestContext } from './requestContext.ts';

/** The log is served where its origin says, under the scheme that clients reach us by. */
const logUrl = (publicUrl: string, origin: string): string => `${new URL(publicUrl).protocol}//${origin}`;

const warningSentence = (warning: Warning): string => {
  switch (warning.kind) {
    case 'sequence-gap':
      return `emitter ${warning.emitter}: sequence numbers ${warning.from} to ${warning.to} never came`;
    case 'sequence-repeated':
      return `emitter ${warning.emitter}: sequence number ${warning.sequence} stands again at index ${warning.index}`;
  }
  return warning satisfies never;
};

const verification = (report: VerificationReport) => ({
  outcome: report.outcome,
  origin: report.origin ?? null,
  size: report.size ?? null,
  root: report.root === undefined ? null : Buffer.from(report.root, 'base64'),
  entriesChecked: report.outcome === 'verified' ? report.size : report.entriesChecked,
  problem:
    report.outcome === 'verified'
      ? null
      : {
          kind: report.problem.kind,
          index: 'index' in report.problem ? report.problem.index : null,
          message: describeProblem(report.problem),
        },
  warnings: report.warnings.map(warningSentence),
});

export const proofResolvers: Resolvers<RequestContext> = {
  Query: {
    checkpoint: guarded('checkpoint', async (_args, { instance, metrics, publicUrl }) => {
      const { origin, vkey } = instance.trail;
      metrics.countRead('checkpoint');
      return { origin, vkey, logUrl: logUrl(publicUrl, origin), ...(await servedCheckpoint(instance.trail)) };
    }),
    inclusionProof: guarded('inclusionProof', (args, { instance, metrics }) => {
      metrics.countRead('proof');
      return inclusionProof(instance.trail, args);
    }),
    consistencyProof: guarded('consistencyProof', (args, { instance, metrics }) => {
      metrics.countRead('proof');
      return consistencyProof(instance.trail, args);
    }),
    verifyLog: guarded('verifyLog', async (_args, { instance, metrics, limits, signal }) => {
      metrics.countRead('self-check');
      return verification(await verifyLog(instance.trail, { entriesMax: limits.verifiedEntriesMax, signal }));
    }),
  },
};

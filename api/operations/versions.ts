/** Publishing mappings, prompts, models and builds. */
import type { VersionKind } from '../../schema/control.ts';
import type { PrincipalId } from '../../schema/ids.ts';
import type { Json } from '../../schema/json.ts';
import type { System } from '../../schema/taxonomy.ts';
import { contentDigest } from '../../store/versions.ts';
import type { OperationContext } from '../context.ts';
import { recordControl } from './controlEntries.ts';

export interface PublishVersionInput {
  readonly kind: VersionKind;
  readonly name: string;
  readonly version: string;
  readonly content: Json;
  readonly agent?: PrincipalId;
  readonly system?: System;
}

export interface PublishedVersionView {
  readonly kind: VersionKind;
  readonly name: string;
  readonly version: string;
  readonly digest: string;
  readonly index: number;
}

export const publishVersion = async (
  ctx: OperationContext,
  { kind, name, version, content, agent, system }: PublishVersionInput,
): Promise<PublishedVersionView> => {
  const digest = contentDigest(content);
  const change = {
    change: 'version.publish' as const,
    kind,
    name,
    version,
    digest,
    ...(agent && { agent }),
    ...(system && { system }),
  };
  const index = await recordControl(ctx, change, [{ name: 'content', content: content as never }]);
  return { kind, name, version, digest, index };
};

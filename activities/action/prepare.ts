/** From an intent to the vendor calls that it comes to, or to the reason why it can't be carried out. No effect yet. */
import { mappingReference } from '../../domain/action/toolCatalogue.ts';
import type { ActionReference } from '../../domain/action/contract.ts';
import type { ConnectorConfig } from '../../store/control-state.ts';
import { ConnectorError, type FieldMapping, type Step, type Tool } from '../connectors/connector.ts';
import type { ActionDeps, ActionInstance } from './deps.ts';
import { loadIntent, refused, type Intent, type Refusal } from './intent.ts';

/** A tool whose parameters passed its schema; what they are is the tool's business alone. */
export type AnyTool = Tool<unknown>;

export interface Prepared {
  readonly intent: Intent;
  readonly tool: AnyTool;
  readonly connectorVersion: string;
  readonly config: ConnectorConfig;
  readonly mapping?: FieldMapping;
  readonly steps: readonly Step<unknown>[];
}

export const prepare = async (
  deps: ActionDeps,
  instance: ActionInstance,
  reference: ActionReference,
): Promise<Prepared | { readonly refusal: Refusal }> => {
  const loaded = await loadIntent(instance, reference);
  if ('refusal' in loaded) return loaded;
  const { intent } = loaded;
  const tool = deps.tools.toolNamed(intent.tool) as AnyTool | undefined;
  if (tool === undefined || tool.system !== intent.entry.system || tool.action !== intent.entry.action)
    return refused('failure', 'INVALID_REQUEST');
  const connector = deps.tools.connectorOf(tool.system);
  const config = await instance.control.connector(tool.system);
  if (connector === undefined || config === undefined || config.disabled) return refused('failure', 'NOT_CONFIGURED');
  const parsed = tool.input.safeParse(intent.params);
  if (!parsed.success) return refused('failure', 'INVALID_REQUEST');
  const mapping = tool.takesMapping ? await publishedMapping(instance, tool, parsed.data) : undefined;
  if (tool.takesMapping && mapping === undefined) return refused('failure', 'INVALID_REQUEST');
  try {
    const steps = tool.plan(parsed.data, mapping);
    return { intent, tool, connectorVersion: connector.version, config, ...(mapping && { mapping }), steps };
  } catch (error) {
    return refused('failure', error instanceof ConnectorError ? error.code : 'INTERNAL');
  }
};

/** The version that the parameters name, in force or not: that a stale one was used is for the record to show. */
const publishedMapping = async (
  { control }: ActionInstance,
  tool: AnyTool,
  params: unknown,
): Promise<FieldMapping | undefined> => {
  const named = typeof params === 'object' && params !== null && 'mapping' in params ? params.mapping : undefined;
  const reference = typeof named === 'string' ? mappingReference(named) : undefined;
  if (reference === undefined) return undefined;
  const published = await control.version('mapping', reference.name, reference.version);
  if (published?.content === undefined || (published.system !== undefined && published.system !== tool.system))
    return undefined;
  return { ...reference, fields: published.content.fields };
};

/** The tools as the API knows them, made from the connectors. */
import { z } from 'zod';
import type { Connector, Step, Tool } from '../../activities/connectors/connector.ts';
import type { DescribedTool, ToolCatalogue, ToolDescription } from '../../domain/action/toolCatalogue.ts';
import type { SubjectRef } from '../../schema/event.ts';
import { misfits } from '../../schema/fit.ts';
import type { JsonObject } from '../../schema/json.ts';

export const createToolCatalogue = (connectors: readonly Connector[]): ToolCatalogue => {
  const tools = new Map(connectors.flatMap(({ tools: own }) => own.map((tool) => [tool.name, tool as Tool<unknown>])));
  let described: readonly DescribedTool[] | undefined;
  return {
    list: () => (described ??= [...tools.values()].map(describe)),
    find(name) {
      const tool = tools.get(name);
      return tool && outsideOf(tool);
    },
    issues(name, params) {
      const parsed = tools.get(name)?.input.safeParse(params);
      if (parsed === undefined || parsed.success) return [];
      return misfits(parsed.error, params);
    },
    outline(name, params, mapping) {
      const tool = tools.get(name);
      const parsed = tool?.input.safeParse(params);
      if (!tool || !parsed?.success) return undefined;
      try {
        return outlineOf(tool.plan(parsed.data, mapping));
      } catch {
        return undefined;
      }
    },
  };
};

const outsideOf = ({ name, system, action, effect, endpoint, takesMapping }: Tool<unknown>): ToolDescription => ({
  name,
  system,
  action,
  effect,
  endpoint,
  takesMapping,
});

const describe = (tool: Tool<unknown>): DescribedTool => ({
  ...outsideOf(tool),
  idempotency: tool.idempotency,
  // As callers give them: what has a default may be left out.
  parameters: z.toJSONSchema(tool.input, { io: 'input' }) as JsonObject,
});

const outlineOf = (steps: readonly Step<unknown>[]) => {
  const items = steps.flatMap((step) => step.items);
  const subjects = new Map<string, SubjectRef>();
  for (const { target } of items) if (target?.subject) subjects.set(JSON.stringify(target.subject), target.subject);
  const channel = steps.length === 1 ? steps[0]!.channel : undefined;
  return {
    count: items.length,
    fields: [...new Set(steps.flatMap(({ fields }) => fields))],
    subjects: [...subjects.values()],
    ...(channel && { channel }),
  };
};

/** All connectors. One that is listed here is offered to agents, and has to pass the conformance tests. */
import type { System } from '../../schema/taxonomy.ts';
import type { Connector, Tool } from './connector.ts';
import { gmail } from './gmail/connector.ts';
import { jira } from './jira/connector.ts';
import { salesforce } from './salesforce/connector.ts';
import { slack } from './slack/connector.ts';

export const connectors: readonly Connector[] = [salesforce, slack, gmail, jira];

const bySystem: ReadonlyMap<System, Connector> = new Map(connectors.map((c) => [c.system, c]));

const byTool: ReadonlyMap<string, Tool<never>> = new Map(
  connectors.flatMap((connector) => connector.tools.map((tool) => [tool.name, tool] as const)),
);

/** The connector of a system; undefined where there is none. */
export const connectorOf = (system: System): Connector | undefined => bySystem.get(system);

/** The tool of that name (`<system>.<verb>`); undefined where there is none. */
export const toolNamed = (name: string): Tool<never> | undefined => byTool.get(name);

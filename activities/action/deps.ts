/** What the activities of an action use of the outside. */
import type { InstanceId } from '../../schema/ids.ts';
import type { System } from '../../schema/taxonomy.ts';
import type { ConnectorConfig, ControlState } from '../../store/control-state.ts';
import type { Trail } from '../../trail/trail.ts';
import type { Connector, JsonObject, Tool } from '../connectors/connector.ts';

export interface ActionInstance {
  readonly trail: Pick<Trail, 'writer' | 'reader'>;
  readonly control: ControlState;
  /** Decrypts the credential of a configured connector, for one call. */
  credential(config: ConnectorConfig): Promise<JsonObject>;
}

export interface ToolRegistry {
  toolNamed(name: string): Tool<never> | undefined;
  connectorOf(system: System): Connector | undefined;
}

export interface ActionDeps {
  /** The same object for the same instance. */
  open(instance: InstanceId): Promise<ActionInstance>;
  readonly tools: ToolRegistry;
  /** A connector threw what it should not. Its message may hold content: not for logs. */
  onDefect(tool: string, error: unknown): void;
  nowMs(): number;
}

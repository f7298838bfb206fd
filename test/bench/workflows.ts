/** What the workers of the benchmark run: Trailkeeper's own workflows, and the bare one that they are held against. */
import { proxyActivities } from '@temporalio/workflow';
import { action } from '../../workflows/action.ts';
import { run } from '../../workflows/run.ts';

export { action, run };

interface Bare {
  nothing(reference: string): Promise<string>;
}

/** As many activities one after the other, each of which does nothing. */
export const bare = async (activities: number): Promise<string> => {
  const { nothing } = proxyActivities<Bare>({ startToCloseTimeout: 60_000, heartbeatTimeout: 20_000 });
  let last = '';
  for (let position = 0; position < activities; position += 1) last = await nothing(`step-${position}`);
  return last;
};

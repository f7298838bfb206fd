import { describe, expect, it } from 'vitest';
import { torture } from './torture/torture.ts';

describe('torture', () => {
  it('finds nothing in two rounds of a fixed seed', { timeout: 600_000 }, async () => {
    const said: string[] = [];
    const result = await torture({ seed: 4, goesOn: (round) => round < 2, say: (line) => void said.push(line) });
    expect(result.rounds).toBe(2);
    expect(result.acknowledged).toBeGreaterThan(0);
    expect(said).toHaveLength(4);
  });
});

/** The results as text, for whoever runs the benchmarks. */
import type { BenchmarkReport } from './results.ts';
import type { Comparison } from './harness.ts';

const figure = (value: number): string =>
  value >= 100 ? value.toLocaleString('en-US', { maximumFractionDigits: 0 }) : value.toPrecision(3);

/** For example `>= 0.40, reached`. */
const barText = (bar: Comparison['bar']): string => {
  if (!bar) return '';
  const wanted = 'atLeast' in bar ? `>= ${bar.atLeast.toFixed(2)}` : `<= ${bar.atMost.toFixed(2)}`;
  return `${wanted}, ${bar.reached ? 'reached' : 'NOT reached'}`;
};

const row = ({ contest, metric, baseline, subject, ratio, bar }: Comparison): string[] => [
  contest,
  `${metric.name} (${metric.unit})`,
  `${baseline.name}: ${figure(baseline.median)}`,
  `${subject.name}: ${figure(subject.median)}`,
  `${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)} to ${ratio.max.toFixed(2)})`,
  barText(bar),
];

const heads = ['what', 'metric', 'baseline, median', 'Trailkeeper, median', 'ratio (least to most)', 'bar'];

export const renderTable = (reports: readonly BenchmarkReport[]): string => {
  const lines: string[] = [];
  for (const { name, title, comparisons } of reports) {
    const rows = [heads, ...comparisons.map(row)];
    const widths = heads.map((_, column) => Math.max(...rows.map((cells) => cells[column]!.length)));
    lines.push('', `${name}: ${title}`, '');
    for (const cells of rows)
      lines.push(
        cells
          .map((cell, column) => cell.padEnd(widths[column]!))
          .join('  ')
          .trimEnd(),
      );
  }
  return lines.join('\n');
};

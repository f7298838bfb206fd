/** Draws the ratios as an SVG: one panel for rates, one for times, the baseline being the line at 1 in both. */
import type { Comparison } from './harness.ts';
import type { Results } from './results.ts';

interface Bar {
  readonly label: string;
  readonly ratio: number;
  readonly min: number;
  readonly max: number;
}

const width = 1200;
const labelWidth = 640;
const valueWidth = 70;
const rowHeight = 26;
const panelTop = 54;
const barWidth = width - labelWidth - valueWidth - 20;

const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const at = (value: number): string => value.toFixed(1);

const barOf = (benchmark: string, { contest, metric, subject, ratio }: Comparison): Bar => ({
  label: `${benchmark}: ${contest}; ${subject.name}${metric.name === 'rate' ? '' : `, ${metric.name.replace(/Ms$/, '')}`}`,
  ratio: ratio.median,
  min: ratio.min,
  max: ratio.max,
});

/** The next of 1, 2, 5, 10, 20, ... */
const roundUp = (value: number): number => {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value)!;
};

const text = (x: number, y: number, content: string, attributes = ''): string =>
  `<text x="${at(x)}" y="${at(y)}" ${attributes}>${escape(content)}</text>`;

function panel(title: string, bars: readonly Bar[], top: number): { svg: string; height: number } {
  const most = roundUp(Math.max(1, ...bars.map(({ max }) => max)));
  const x = (ratio: number) => labelWidth + (barWidth * ratio) / most;
  const bottom = top + panelTop + bars.length * rowHeight;
  const steps = [0, 0.25, 0.5, 0.75, 1].map((share) => share * most);
  const grid = [...new Set([...steps, 1])].map((step) => {
    const line = `<line x1="${at(x(step))}" y1="${top + panelTop - 8}" x2="${at(x(step))}" y2="${bottom}" class="${step === 1 ? 'one' : 'grid'}"/>`;
    return (
      line + text(x(step), top + panelTop - 14, String(Number(step.toFixed(2))), 'class="tick" text-anchor="middle"')
    );
  });
  const rows = bars.map(({ label, ratio, min, max }, i) => {
    const y = top + panelTop + i * rowHeight;
    const middle = y + rowHeight / 2;
    return [
      text(labelWidth - 10, middle + 4, label, 'text-anchor="end"'),
      `<rect x="${labelWidth}" y="${y + 5}" width="${at(Math.max(1, x(ratio) - labelWidth))}" height="${rowHeight - 10}" class="bar"/>`,
      `<line x1="${at(x(min))}" y1="${middle}" x2="${at(x(max))}" y2="${middle}" class="spread"/>`,
      text(labelWidth + barWidth + 12, middle + 4, ratio.toFixed(2), 'class="value"'),
    ].join('');
  });
  const svg = [text(20, top + 18, title, 'class="title"'), ...grid, ...rows].join('\n');
  return { svg, height: panelTop + bars.length * rowHeight + 24 };
}

const style = `text{font:12px system-ui,sans-serif;fill:#1f2933}.title{font-weight:600;font-size:14px}.tick{font-size:10px;fill:#627d98}
.value{font-weight:600}.bar{fill:#3e7cb1}.spread{stroke:#102a43;stroke-width:1.5}.grid{stroke:#d9e2ec}.one{stroke:#c05621;stroke-width:1.5}`;

export function renderChart({ benchmarks, facts, startedAt, extent }: Results): string {
  const bars = (better: 'higher' | 'lower') =>
    benchmarks.flatMap(({ name, comparisons }) =>
      comparisons.filter(({ metric }) => metric.better === better).map((comparison) => barOf(name, comparison)),
    );
  const rates = bars('higher');
  const times = bars('lower');
  const parts: string[] = [];
  let top = 34;
  const add = (title: string, shown: readonly Bar[]) => {
    if (shown.length === 0) return;
    const { svg, height } = panel(title, shown, top);
    parts.push(svg);
    top += height;
  };
  add('Rate, as a part of the baseline (line at 1): longer is better', rates);
  add('Time, as a multiple of the baseline (line at 1): shorter is better', times);
  const caption = `${startedAt.slice(0, 10)}, ${extent.scale} scale, medians of ${extent.rounds} rounds, thin line: least to most; ${facts.cores} cores, Node ${facts.node}, MongoDB ${facts.mongodb}, Temporal ${facts.temporal}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${top}" viewBox="0 0 ${width} ${top}" role="img" aria-label="Ratios of the benchmarks">
<style>${style}</style>
<rect width="${width}" height="${top}" fill="#fff"/>
${text(20, 22, caption)}
${parts.join('\n')}
</svg>
`;
}

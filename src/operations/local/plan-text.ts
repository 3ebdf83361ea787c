/** A plan as people read it. */
import { shown } from '../../tensors/names.ts'
import type { LocalPlan, PlanInput } from './local-operations.ts'

const DIFFERING_MAX = 8
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

function sayBytes(bytes: number): string {
  let size = bytes
  let unit = 0
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024
    unit += 1
  }
  return `${unit === 0 ? size : size.toFixed(size < 10 ? 2 : 1)} ${UNITS[unit] ?? ''}`
}

const rows = (label: string, lines: readonly string[]): string[] =>
  lines.map((line, i) => `  ${(i === 0 ? label : '').padEnd(12)} ${line}`)

export function planText(plan: Omit<LocalPlan, 'text'>): string {
  const { strategy, inputs, tensors, output, problems, warnings } = plan
  const merging = inputs.filter(({ role }) => role === 'input').length
  const licenses = [...new Set(inputs.flatMap(({ license }) => license ?? []))].sort()
  const lines = [
    `${strategy} over ${merging} inputs${inputs.some(({ role }) => role === 'base') ? ' and a base' : ''}`,
    ...inputs.flatMap(sayInput),
    ...(licenses.length > 1 ? rows('licences', [`${licenses.join(', ')}: the strictest binds the output`]) : []),
    ...(problems.length > 0
      ? []
      : [
          ...rows('tensors', [`${tensors.total}: ${tensors.merged} merged, ${tensors.copied} copied`]),
          ...rows('output', [
            `${output.dtypes.join(', ')}, ${sayBytes(output.bytes)} in ${output.shards === 1 ? 'one file' : `${output.shards} files`}`,
          ]),
          ...rows('cost', [
            `reads ${sayBytes(plan.bytes_read)}, writes ${sayBytes(plan.bytes_written)}, holds at most ${sayBytes(plan.peak_memory_bytes)}, ${plan.passes === 1 ? 'one pass' : `${plan.passes} passes`}, ${plan.workers === 1 ? 'one thread' : `${plan.workers} threads`}`,
          ]),
          ...(plan.merge_id === undefined ? [] : rows('merge', [plan.merge_id])),
        ]),
    ...rows('warning', warnings),
    ...problems.flatMap(({ code, message, hint }) => [
      ...rows('problem', [`${code}: ${message}`]),
      ...(hint === undefined ? [] : rows('hint', [hint])),
    ]),
  ]
  return `${lines.join('\n')}\n`
}

function sayInput({ ref, role, weight, tensors, bytes, dtypes, differing, license }: PlanInput): string[] {
  const facts = [
    `${tensors} tensors`,
    dtypes.join(', '),
    sayBytes(bytes),
    ...(weight === undefined ? [] : [`weight ${weight}`]),
    ...(license === undefined ? [] : [license]),
  ]
  const more = differing.length - DIFFERING_MAX
  return [
    ...rows(role, [`${shown(ref)}  ${facts.join(' · ')}`]),
    ...differing
      .slice(0, DIFFERING_MAX)
      .flatMap(({ tensor, has, wanted }) => rows('', [`  ${shown(tensor)} is ${has}, where ${wanted} is wanted`])),
    ...(more > 0 ? rows('', [`  and ${more} more that differ`]) : []),
  ]
}

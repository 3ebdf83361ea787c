/** A receipt held to the bytes: the verdict is an answer, and an exit code. */
import { TributaryError } from '../../core/errors.ts'
import type { AuditReport } from '../../operations/local/local-operations.ts'
import type { Command } from '../command.ts'
import { followPhases } from '../phases.ts'
import { counted, facts, sizeText } from '../text.ts'

export const audit: Command = {
  arguments: [{ name: '<RECEIPT_OR_DIR>', about: 'a receipt.json, or the directory of a merged model' }],
  options: [{ flags: '--input <DIR>', about: 'where inputs lie, if not where the merge found them', repeated: true }],
  notes:
    'Works offline and trusts nothing but the bytes it reads. Exits with 3 where anything differs, naming the first\ntensor and tile, and with 1 where an input is not there.',
  example: 'tributary audit merged/ --input checkpoints/',
  afterStop: 'run the same command again to audit from the start',

  async run({ talk, signal, answer, local }, given) {
    const phases = followPhases(talk)
    const report = await local(given, (operations) =>
      operations.auditLocal(
        { target: given.argument(0), inputs: given.list('input') },
        { onProgress: phases.onProgress, signal },
      ),
    )
    phases.done()
    for (const note of report.notes) talk.say(`note: ${note}`)
    answer(report, () => summary(report))
    if (report.verdict === 'failed') throw failed(report)
    if (report.verdict === 'inputs_missing') throw inputsMissing(report)
    return undefined
  },
}

const VERDICTS: Readonly<Record<AuditReport['verdict'], string>> = {
  passed: 'passed: every byte is as the receipt says',
  failed: 'FAILED',
  inputs_missing: 'not reached: inputs are missing',
}

const summary = ({ verdict, merge, content, signed, checked }: AuditReport): readonly string[] =>
  facts([
    ['audit', VERDICTS[verdict]],
    ['merge', merge],
    ['content', content],
    ['signed', signed ? 'yes' : 'no'],
    [
      'checked',
      `${counted(checked.inputs, 'input')}, ${counted(checked.tensors, 'tensor')}, ${counted(checked.files, 'file')}, ${sizeText(checked.bytes)}`,
    ],
    ['output', checked.output ? undefined : 'not here: the replay was held to the receipt alone'],
  ])

function failed({ difference }: AuditReport): TributaryError {
  if (difference === undefined) return new TributaryError('AUDIT_FAILED', 'the replay differs from the receipt')
  const { what, name, tensor, tile, expected, found, message } = difference
  return new TributaryError('AUDIT_FAILED', message, {
    details: {
      differs: `${what} ${name}`,
      ...(tensor !== undefined && { tensor }),
      ...(tile !== undefined && { tile }),
      expected,
      found,
    },
    hint: 'do not use this output: fetch it again, or merge again and compare the receipts',
  })
}

const inputsMissing = ({ missing }: AuditReport): TributaryError =>
  new TributaryError('AUDIT_INPUTS_MISSING', `${counted(missing.length, 'input')} of this merge cannot be found`, {
    details: { missing: missing.map(({ content, what }) => `${content} (${what})`) },
    hint: 'say where they lie with --input DIR, as often as needed',
  })

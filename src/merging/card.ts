/** The model card of a merge: what it is made of and how to check it, by content alone. One text for each merge. */
import { NUMERIC_PROFILE } from '../core/numeric-profile.ts'
import type { Canonical } from '../core/canonical.ts'
import { canonicalText } from '../core/canonical.ts'
import type { Resolved } from '../recipes/resolve.ts'

export function cardOf({ strategy, recipe, recipeId, inputs, base, merge }: Resolved): string {
  const { files } = recipe['out'] as { readonly files: readonly (readonly [string, string])[] }
  const hasConfig = files.some(([path]) => path === 'config.json')
  const rows = inputs.map(({ record, role }) => {
    const cells = [inline(record['content']), inline(record['weight']), inline(record['params'])]
    return `| ${[...cells, role ?? ''].join(' | ')} |`
  })
  return `---
${hasConfig ? 'library_name: transformers\n' : ''}tags:
- merge
- tributary
- ${strategy.id}
---

# A merge by ${strategy.id}

${strategy.title}: ${strategy.summary}

Made by Tributary. The merged tensors are a pure function of what is named here: anyone who has the inputs computes the
same bytes, on any machine.

## Inputs

Each is named by its content root, the digest of its tensors.

| content | weight | params | role |
| --- | --- | --- | --- |
${rows.join('\n')}
${base ? `\nBase: \`${base.content}\`\n` : ''}
## Recipe

\`\`\`json
${JSON.stringify(JSON.parse(canonicalText(recipe)), null, 2)}
\`\`\`

| | |
| --- | --- |
| merge | \`${merge}\` |
| recipe | \`${recipeId}\` |
| numeric profile | \`${NUMERIC_PROFILE}\` |

## Check it

\`receipt.json\` names every output tensor by the digest of its bytes. With the inputs at hand, this replays the merge and
compares every byte:

\`\`\`sh
tributary audit .
\`\`\`
`
}

const inline = (value: Canonical | undefined): string => {
  const text = typeof value === 'string' ? value : canonicalText(value ?? {})
  return text === '{}' ? '' : `\`${text.replaceAll('|', '\\|')}\``
}

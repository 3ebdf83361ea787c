/** What a merge would do and cost, or why it would be refused. */
import { CACHE_OPTION, type Command, RESOURCE_OPTIONS } from '../command.ts'
import { EXIT } from '../errors.ts'
import { linesOf } from '../text.ts'

export const plan: Command = {
  arguments: [{ name: '<RECIPE>', about: 'recipe file, native or mergekit YAML; paths in it are relative to it' }],
  options: [...RESOURCE_OPTIONS, CACHE_OPTION],
  notes: 'Exits with 1 where the merge would be refused, and says why. No tensor data is read.',
  example: 'tributary plan recipe.yml',

  async run({ answer, local }, given) {
    const planned = await local(given, (operations) => operations.planLocal(given.argument(0)))
    answer(planned, () => linesOf(planned.text))
    return planned.problems.length === 0 ? EXIT.ok : EXIT.failed
  },
}

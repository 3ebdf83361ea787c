/** Recipes that both programs read; paths are whole, because mergekit takes a bare name for one of the Hub. */
const three = (folder, parameters) =>
  [0.3, 0.5, 0.2]
    .map((weight, i) => `  - model: ${folder}/m${i + 1}\n    parameters: {weight: ${weight}${parameters}}\n`)
    .join('')

export const recipes = (dtype, folder) => ({
  linear: `merge_method: linear\nmodels:\n${three(folder, '')}dtype: ${dtype}\n`,
  slerp: `merge_method: slerp\nbase_model: ${folder}/m1\nmodels:\n  - model: ${folder}/m1\n  - model: ${folder}/m2\nparameters: {t: 0.4}\ndtype: ${dtype}\n`,
  task_arithmetic: `merge_method: task_arithmetic\nbase_model: ${folder}/base\nmodels:\n${three(folder, '')}dtype: ${dtype}\n`,
  ties: `merge_method: ties\nbase_model: ${folder}/base\nmodels:\n${three(folder, ', density: 0.5')}dtype: ${dtype}\n`,
  dare_ties: `merge_method: dare_ties\nbase_model: ${folder}/base\nmodels:\n${three(folder, ', density: 0.5')}dtype: ${dtype}\n`,
})
export const INPUTS = { linear: 3, slerp: 2, task_arithmetic: 4, ties: 4, dare_ties: 4 }

const [HIDDEN, INNER, VOCABULARY] = [1024, 2816, 32000]
/** A small Llama of about so many parameters: programs that know architectures know this one. */
export function llama(parameters) {
  const perLayer = 4 * HIDDEN * HIDDEN + 3 * HIDDEN * INNER + 2 * HIDDEN
  const layers = Math.max(1, Math.round((parameters - HIDDEN * VOCABULARY) / perLayer))
  const shapes = [['model.embed_tokens.weight', [VOCABULARY, HIDDEN]]]
  for (let i = 0; i < layers; i++) {
    const at = `model.layers.${i}`
    for (const name of ['q_proj', 'k_proj', 'v_proj', 'o_proj'])
      shapes.push([`${at}.self_attn.${name}.weight`, [HIDDEN, HIDDEN]])
    for (const name of ['gate_proj', 'up_proj']) shapes.push([`${at}.mlp.${name}.weight`, [INNER, HIDDEN]])
    shapes.push([`${at}.mlp.down_proj.weight`, [HIDDEN, INNER]])
    for (const name of ['input_layernorm', 'post_attention_layernorm']) shapes.push([`${at}.${name}.weight`, [HIDDEN]])
  }
  shapes.push(['model.norm.weight', [HIDDEN]])
  const config = (dtype) =>
    `${JSON.stringify({
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      hidden_size: HIDDEN,
      intermediate_size: INNER,
      num_hidden_layers: layers,
      num_attention_heads: 8,
      num_key_value_heads: 8,
      vocab_size: VOCABULARY,
      tie_word_embeddings: true,
      torch_dtype: dtype,
    })}\n`
  return { shapes, config }
}

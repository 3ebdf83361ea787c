/** The part of WebAssembly that the kernels use; the types of Node 20 leave it to those of browsers. */
declare namespace WebAssembly {
  class Memory {
    constructor(size: { readonly initial: number; readonly maximum: number })
    readonly buffer: ArrayBuffer
  }
  type Module = object
  const Module: new (bytes: Uint8Array) => Module
  class Instance {
    constructor(module: Module, imports: Readonly<Record<string, object>>)
    readonly exports: unknown
  }
  function validate(bytes: Uint8Array): boolean
}

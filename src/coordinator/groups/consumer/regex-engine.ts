/** RE2's regular expressions, whose time to match grows with the text alone. Loaded when the first group subscribes by one. */
import type { RE2JS } from 're2js'

/** Longer ones are refused: a program made of one takes many times its length. */
export const MAX_REGEX_LENGTH = 4_096

export interface CompiledRegex {
  /** Matches the whole name. */
  matches(name: string): boolean
}

export class RegexEngine {
  #compiler: typeof RE2JS | null = null
  #loading: Promise<void> | null = null

  get isLoaded(): boolean {
    return this.#compiler !== null
  }

  load(): Promise<void> {
    this.#loading ??= import('re2js').then(({ RE2JS: compiler }) => {
      this.#compiler = compiler
    })
    return this.#loading
  }

  /** Why it is none; null: it is one. */
  check(regex: string): string | null {
    const compiled = this.compile(regex)
    return typeof compiled === 'string' ? compiled : null
  }

  /** A text: why it is none. */
  compile(regex: string): CompiledRegex | string {
    if (regex.length > MAX_REGEX_LENGTH) return `longer than ${MAX_REGEX_LENGTH} characters`
    if (this.#compiler === null) return 'regular expressions are not loaded yet'
    try {
      const compiled = this.#compiler.compile(regex)
      return { matches: (name) => compiled.matches(name) }
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }
}

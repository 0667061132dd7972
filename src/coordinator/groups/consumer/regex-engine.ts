/** RE2's regular expressions, whose time to match grows with the text alone. Loaded when the first group subscribes by one. */
import type { RE2JS } from 're2js'

/** Longer ones are refused: a program made of one takes many times its length. */
export const MAX_REGEX_LENGTH = 4_096

/**
 * Places at which a match may go on in two ways: that many states are looked at for each character of a name, and a quarter of a
 * second is gone with the first name where they are 2,000. Lists of names have one for each.
 */
export const MAX_REGEX_BRANCHES = 500

/** Classes as `\\pL`, which have hundreds of ranges: a thousand of them, in both cases, take a second to compile. */
export const MAX_UNICODE_CLASSES = 50

/** An instruction of re2js' programs with two ways out. */
const BRANCH = 1

export interface CompiledRegex {
  /** How much one match costs, from 1 on: its branches. */
  readonly cost: number
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
    if ((regex.match(/\\p/gi)?.length ?? 0) > MAX_UNICODE_CLASSES)
      return `more than ${MAX_UNICODE_CLASSES} Unicode classes`
    try {
      const compiled = this.#compiler.compile(regex)
      const program: readonly { op: number }[] = compiled.re2Input.prog.inst
      const branches = program.filter(({ op }) => op === BRANCH).length
      if (branches > MAX_REGEX_BRANCHES) return `more than ${MAX_REGEX_BRANCHES} ways to go on`
      return { cost: 1 + branches, matches: (name) => compiled.matches(name) }
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }
}

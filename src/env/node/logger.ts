import type { Logger, LogLevel } from '../env.ts'

const ORDER: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 }

function printable(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return /[\s"=]/.test(text) && typeof value === 'string' ? JSON.stringify(text) : text
}

/** Lines of `time level message key=value ...`; line breaks inside a value are escaped, so one call is one line. */
export function createLineLogger(lowest: LogLevel, write: (line: string) => void): Logger {
  return {
    log(level, message, fields) {
      if (ORDER[level] < ORDER[lowest]) return
      let line = `${new Date().toISOString()} ${level.padEnd(5)} ${message.replace(/[\r\n]+/g, ' ')}`
      for (const [key, value] of Object.entries(fields ?? {})) {
        if (value !== undefined) line += ` ${key}=${printable(value)}`
      }
      write(line + '\n')
    },
  }
}

export const silentLogger: Logger = { log() {} }

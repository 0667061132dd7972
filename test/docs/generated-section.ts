/** Parts of documents that are made from the code: compared by tests, written anew by `npm run docs`. */
import { readFileSync, writeFileSync } from 'node:fs'

/** What stands between `<!-- NAME:begin ... -->` and `<!-- NAME:end -->`; writes `content` there when UPDATE_DOCS is set. */
export function generatedSection(path: string, name: string, content: string): string {
  const text = readFileSync(path, 'utf8')
  const section = new RegExp(`(<!-- ${name}:begin[^>]*-->\\n)([^]*?)(<!-- ${name}:end -->)`)
  const found = section.exec(text)
  if (!found) throw new Error(`${path} has no section ${name}`)
  if (!process.env.UPDATE_DOCS) return found[2]
  writeFileSync(
    path,
    text.replace(section, (_, begin: string, __, end: string) => `${begin}${content}${end}`),
  )
  return content
}

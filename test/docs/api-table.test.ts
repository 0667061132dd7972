import { expect, test } from 'vitest'
import { apiTable } from '../../src/broker/api-table.ts'
import { generatedSection } from './generated-section.ts'

function rows(): string {
  const cells = [...apiTable.values()].map(({ api }) => {
    const [min, max] = api.versions
    return `| ${api.key} | ${api.name} | ${min === max ? min : `${min}–${max}`} |`
  })
  const half = Math.ceil(cells.length / 2)
  const lines = cells.slice(0, half).map((left, i) => `${left}${(cells[half + i] ?? '| | | |').slice(1)}`)
  return ['| Key | API | Versions | Key | API | Versions |', '|---|---|---|---|---|---|', ...lines, ''].join(
    '\n',
  )
}

test("README's table of APIs is the api-table (npm run docs)", () => {
  expect(generatedSection('README.md', 'api-table', rows())).toBe(rows())
})

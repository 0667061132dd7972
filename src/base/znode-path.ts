/** Which paths ZooKeeper takes. The rules are those of its client and server (PathUtils.validatePath). */

/** Longest path, in UTF-8 bytes: what the journal's length field holds. */
const MAX_PATH_BYTES = 65_535

const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f\ud800-\uf8ff\ufff0-\uffff]/

/** True for an absolute path without empty, `.` or `..` names and without control characters. */
export function isValidPath(path: string): boolean {
  if (path === '/') return true
  if (path.length < 2 || path.charCodeAt(0) !== 0x2f || path.endsWith('/')) return false
  if (FORBIDDEN.test(path)) return false
  if (path.includes('//')) return false
  if (path.includes('/.') && path.split('/').some((name) => name === '.' || name === '..')) return false
  return path.length * 3 <= MAX_PATH_BYTES || Buffer.byteLength(path) <= MAX_PATH_BYTES
}

/** `/a/b` -> `/a`; `/a` -> `/`. */
export function parentPath(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash <= 0 ? '/' : path.slice(0, slash)
}

/** `/a/b` -> `b`. */
export function nodeName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

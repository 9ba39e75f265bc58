// Sends a file of advisories. fetch does not tell how much has been sent.
import { ApiError, type Schemas } from '../api'

export const largest = 8 * 2 ** 30 // bytes that the console takes

export function sendAdvisories(file: File, terms: { force: boolean; unsigned: boolean }, tell: (share: number) => void, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open('POST', `/api/v1/database/import?force=${terms.force}&unsigned=${terms.unsigned}`)
    request.setRequestHeader('Content-Type', 'application/octet-stream')
    request.upload.onprogress = ({ loaded, total }) => tell(total > 0 ? loaded / total : 0)
    request.onload = () => {
      if (request.status < 300) return resolve()
      let problem: Partial<Schemas['Refusal']> = {}
      try {
        problem = JSON.parse(request.responseText) as Schemas['Refusal']
      } catch {
        // A proxy's answer: its status has to do.
        problem.detail = `HTTP ${request.status}`
      }
      reject(new ApiError(request.status, problem, request.getResponseHeader('X-Request-Id') ?? undefined))
    }
    request.onerror = () => reject(new ApiError(0, {}))
    request.onabort = () => reject(new DOMException('', 'AbortError'))
    signal.addEventListener('abort', () => request.abort())
    request.send(file)
  })
}

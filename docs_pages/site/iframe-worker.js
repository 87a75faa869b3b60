// Search in pages that are opened as files. Browsers refuse to start the script of a worker from
// file://, so its script runs in a hidden frame, with the messages of a worker.
if (location.protocol === 'file:') {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super()
      this.waiting = []
      const frame = document.createElement('iframe')
      frame.hidden = true
      document.body.append(frame)
      const inner = frame.contentWindow
      inner.postMessage = data => this.dispatchEvent(new MessageEvent('message', {data}))
      this.deliver = data => inner.dispatchEvent(new inner.MessageEvent('message', {data}))
      const script = inner.document.createElement('script')
      script.src = new URL(url, location)
      script.onload = () => {
        this.waiting.forEach(this.deliver)
        this.waiting = null
      }
      inner.document.body.append(script)
    }

    postMessage(data) {
      if (this.waiting) this.waiting.push(data)
      else this.deliver(data)
    }
  }
  window.Worker = window.IFrameWorker
}

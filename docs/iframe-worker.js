// Browsers start no worker on pages that are opened as files: there the search runs in a hidden frame.
if (location.protocol === "file:") {
  window.IFrameWorker = window.Worker = class extends EventTarget {
    constructor(address) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      const inside = frame.contentWindow
      inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      inside.importScripts = (...scripts) => Promise.all(scripts.map(script => load(inside, script)))
      this.loaded = load(inside, address).then(() => inside)
    }

    postMessage(data) {
      this.loaded.then(inside => inside.dispatchEvent(new inside.MessageEvent("message", { data })))
    }
  }

  const load = (inside, address) => new Promise((done, failed) => {
    const script = inside.document.createElement("script")
    script.src = new URL(address, location)
    script.onload = done
    script.onerror = failed
    inside.document.body.append(script)
  })
}

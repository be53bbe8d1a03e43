/** Chromium, driven through its debugging pipe, for tests of pages. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

const names = ["chromium", "chromium-browser", "google-chrome"];

/** The command that starts a Chromium of this machine; undefined where there is none. */
export const chromium: string | undefined = names.find(
  (name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0,
);

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

export interface Page {
  /** Returns the value of a JavaScript expression in the page; a promise is awaited. */
  evaluate(expression: string): Promise<unknown>;
  /** Goes to another page, whose errors are counted anew, and waits until it is loaded. */
  open(url: string): Promise<void>;
  /** Shows the page as a person who likes it dark, or a printer, would have it. */
  emulate(media: { readonly scheme?: "light" | "dark"; readonly media?: "screen" | "print" }): Promise<void>;
  /** Sets the size of the window in CSS pixels. */
  resize(width: number, height: number): Promise<void>;
  /** Returns a PNG of the whole page, base64. */
  screenshot(): Promise<string>;
  /** What the page has written to its console as an error, or thrown. */
  readonly errors: readonly string[];
  close(): Promise<void>;
}

/** Opens `url` in a browser of its own. */
export async function openPage(command: string, url: string): Promise<Page> {
  const profile = mkdtempSync(join(tmpdir(), "chromium-"));
  const browser = spawn(
    command,
    ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", `--user-data-dir=${profile}`],
    { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] },
  );
  const errors: string[] = [];
  const send = debuggingPipe(browser, ({ method, params }) => {
    if (method === "Runtime.exceptionThrown") errors.push(thrownText(params));
    const entry = params?.["entry"] as { level: string; text: string; url?: string } | undefined;
    if (entry?.level === "error") errors.push(`${entry.text} ${entry.url ?? ""}`);
  });
  const { targetId } = await send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  const inPage = (method: string, params: object = {}) => send(method, params, sessionId as string);
  await Promise.all([inPage("Runtime.enable"), inPage("Log.enable"), inPage("Page.enable")]);
  const open = async (target: string): Promise<void> => {
    errors.length = 0;
    await inPage("Page.navigate", { url: target });
    for (;;) {
      const { result } = await inPage("Runtime.evaluate", {
        expression: "document.readyState + ' ' + location.href",
        returnByValue: true,
      });
      if ((result as { value?: unknown }).value === `complete ${target}`) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await inPage("Page.navigate", { url });
  return {
    errors,
    open,
    emulate: async ({ scheme = "light", media = "screen" }) => {
      const features = [{ name: "prefers-color-scheme", value: scheme }];
      await inPage("Emulation.setEmulatedMedia", { media, features });
    },
    evaluate: async (expression) => {
      const { result, exceptionDetails } = await inPage("Runtime.evaluate", {
        expression,
        awaitPromise: true,
        returnByValue: true,
      });
      if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
      return (result as { value?: unknown }).value;
    },
    resize: async (width, height) => {
      await inPage("Emulation.setDeviceMetricsOverride", {
        width,
        height,
        deviceScaleFactor: 1,
        mobile: width < 600,
      });
    },
    screenshot: async () => {
      const { data } = await inPage("Page.captureScreenshot", { captureBeyondViewport: true });
      return String(data);
    },
    close: async () => {
      const gone = new Promise((resolve) => browser.once("close", resolve));
      // Asked to close, it ends its child processes first, which write to the profile.
      send("Browser.close").catch(() => {});
      await gone;
      await rm(profile, { recursive: true, force: true, maxRetries: 20 });
    },
  };
}

interface ExceptionDetails {
  readonly exception?: { readonly description: string };
  readonly text: string;
}

function thrownText(params: Message["params"] = {}): string {
  const { exception, text } = params["exceptionDetails"] as ExceptionDetails;
  return exception?.description ?? text;
}

type Send = (method: string, params?: object, sessionId?: string) => Promise<Record<string, unknown>>;

/** Messages of the protocol end with a zero byte: commands go to descriptor 3, answers and events come from 4. */
function debuggingPipe(browser: ChildProcess, onEvent: (message: Message) => void): Send {
  const [commands, answers] = [browser.stdio[3] as Writable, browser.stdio[4] as Readable];
  const waiting = new Map<number, (message: Message) => void>();
  let rest = "";
  answers.setEncoding("utf8").on("data", (text: string) => {
    const messages = (rest + text).split("\0");
    rest = messages.pop() ?? "";
    for (const message of messages.map((json) => JSON.parse(json) as Message)) {
      if (message.id === undefined) onEvent(message);
      else waiting.get(message.id)?.(message);
    }
  });
  let id = 0;
  return (method, params = {}, sessionId) =>
    new Promise((resolve, reject) => {
      id++;
      waiting.set(id, ({ result, error }) => {
        if (result) resolve(result);
        else reject(new Error(`${method}: ${error?.message}`));
      });
      commands.write(`${JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) })}\0`);
    });
}

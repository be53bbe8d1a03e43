import { describe, expect, test } from "vitest";
import type { Json, JsonObject } from "../../src/checkpoint.ts";
import { parsePythonJson, stringifyPythonJson } from "../../src/formats/python-json.ts";

const parse = (text: string): Json => parsePythonJson(text, "config.json");
const again = (text: string): string => stringifyPythonJson(parse(text));

describe("JSON written by Python is written again letter for letter", () => {
  const texts = [
    '{"rate": 1.0, "epsilon": 1e-07, "units": 3, "zero": 0.0, "minus": -0.0}',
    '{"large": 123456789012345678901234567890, "small": 0.0010000000474974513}',
    '{"none": NaN, "limits": [Infinity, -Infinity]}',
    '[1.0, 2, [3.50, {"a": 1.10}], 1E400]',
    '{"name": "gr\\u00f6\\u00dfe \\ud83d\\ude00", "escaped": "\\"\\\\\\n\\t"}',
    '{"empty": {}, "list": [], "null": null, "flags": [true, false]}',
    '"text"',
    "[-1.5e+10]",
  ];
  test.each(texts)("%s", (text) => expect(again(text)).toBe(text));
});

test("parsed values are plain JavaScript values", () => {
  const value = parse('{"a": [1.0, 2], "b": "x", "c": NaN, "d": 1E400}') as JsonObject;
  expect([...(value["a"] as number[])]).toEqual([1, 2]);
  expect([value["b"], value["c"], value["d"]]).toEqual(["x", Number.NaN, Infinity]);
  expect(Object.keys(value)).toEqual(["a", "b", "c", "d"]);
});

test("an edit through a spread keeps the spelling of the other numbers", () => {
  const value = parse('{"name": "x", "config": {"rate": 1.0, "momentum": 2.0}}') as JsonObject;
  const config = value["config"] as JsonObject;
  const edited = { ...value, config: { ...config, momentum: 3, trainable: false } };
  expect(stringifyPythonJson(edited)).toBe(
    '{"name": "x", "config": {"rate": 1.0, "momentum": 3.0, "trainable": false}}',
  );
});

test("a new whole number is written as a float under keys that Keras wants as floats, and unchanged elsewhere", () => {
  expect(stringifyPythonJson({ learning_rate: 1, units: 1, epsilon: 0.001 })).toBe(
    '{"learning_rate": 1.0, "units": 1, "epsilon": 0.001}',
  );
});

test("a number's spelling is dropped when the number changes", () => {
  const value = parse('{"units": 4.0}') as JsonObject;
  expect(stringifyPythonJson({ ...value, units: 5 })).toBe('{"units": 5}');
  expect(stringifyPythonJson({ ...value, units: "4" })).toBe('{"units": "4"}');
});

test("__proto__ is read as an ordinary key", () => {
  const text = '{"__proto__": {"polluted": true}}';
  expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  expect(again(text)).toBe(text);
});

test("the last of two equal keys wins, with its spelling", () => {
  expect(again('{"a": 1.0, "a": 1}')).toBe('{"a": 1}');
});

describe("invalid JSON is refused with the position", () => {
  const broken = {
    "": "position 0: expected a value, got the end",
    "{": "position 1: expected a string, got the end",
    '{"a" 1}': 'position 5: expected :, got "1}"',
    '{"a": 1,}': 'position 8: expected a string, got "}"',
    "[1 2]": 'position 3: expected ] or ,, got "2]"',
    "[1] x": 'position 4: expected the end, got "x"',
    "01": 'position 1: expected the end, got "1"',
    nul: 'position 0: expected a value, got "nul"',
    '"\\x"': "position 0: expected a string",
  };
  test.each(Object.entries(broken))("%j", (text, message) => {
    expect(() => parse(text)).toThrow(`config.json: JSON: ${message}`);
  });

  test("is refused if it is nested deeper than Python allows", () => {
    expect(() => parse("[".repeat(100_000))).toThrow("expected no more than 990 levels");
  });
});

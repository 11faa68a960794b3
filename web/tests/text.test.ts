import { describe, expect, it } from "vitest";

import { counted, sizeOf, spans } from "../src/text";

describe("spans", () => {
  it("cut at the marks and together are the text", () => {
    const marks = [{ start: 4, end: 9 }, { start: 6, end: 12 }];
    const found = spans("The liver is large.", marks);
    expect(found.map((span) => span.text).join("")).toBe("The liver is large.");
    expect(found.map((span) => span.marks.length)).toEqual([0, 1, 2, 1, 0]);
  });

  it("count code points, so that what lies outside the basic plane does not shift a mark", () => {
    expect(spans("😀 liver", [{ start: 2, end: 7 }])[1]!.text).toBe("liver");
  });

  it("bear marks beyond the text that has come so far", () => {
    expect(spans("The liv", [{ start: 0, end: 30 }])).toEqual([{ text: "The liv", marks: [{ start: 0, end: 30 }] }]);
  });
});

it("says sizes in mL, mm² or px", () => {
  expect(sizeOf({ mm3: 1125680, voxels: 1, box: [0, 0, 0, 1, 1, 1] })).toBe("1,126 mL");
  expect(sizeOf({ mm3: 4480, voxels: 1, box: [0, 0, 0, 1, 1, 1] })).toBe("4.48 mL");
  expect(sizeOf({ mm3: 412, voxels: 1, box: [0, 0, 1, 1] })).toBe("412 mm²");
  expect(sizeOf({ mm3: 0, voxels: 1234, box: [0, 0, 1, 1] })).toBe("1,234 px");
});

it("counts in English", () => expect([counted(1, "image"), counted(2000, "image")]).toEqual(["1 image", "2,000 images"]));

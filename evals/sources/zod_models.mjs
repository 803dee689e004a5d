// Models as users of zod write them; each is exported as it comes by `z.toJSONSchema()`.
//
//     node zod_models.mjs FOLDER      (copied beside the `node_modules` of `evals/js`)
//
// writes `FOLDER/zod_*.json`. `evals/schemas` holds what zod of `evals/js` wrote.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";

const recipe = z.object({
  recipe_name: z.string().describe("Name of the recipe."),
  ingredients: z.array(z.string()).describe("List of ingredients."),
  prep_time_minutes: z.number().int().optional().describe("Prep time in minutes."),
});

const account = z.object({
  id: z.uuid(),
  email: z.email(),
  role: z.enum(["owner", "editor", "viewer"]),
  two_factor: z.boolean().default(false),
  created: z.iso.datetime(),
});

const review = z.strictObject({
  product: z.string().min(1).max(80),
  stars: z.int().min(1).max(5),
  pros: z.array(z.string()).max(3),
  cons: z.array(z.string()).max(3),
  would_buy_again: z.boolean().nullable(),
});

const event = z.discriminatedUnion("type", [
  z.object({ type: z.literal("concert"), artist: z.string(), seated: z.boolean() }),
  z.object({ type: z.literal("lecture"), speaker: z.string(), topic: z.string() }),
  z.object({ type: z.literal("match"), home: z.string(), away: z.string(), sport: z.enum(["football", "handball"]) }),
]);

const agenda = z.object({ city: z.string(), events: z.array(event).min(2).max(5) });

const folder = z.object({
  name: z.string(),
  size_kb: z.number().nonnegative().optional(),
  get children() {
    return z.array(folder);
  },
});

const palette = z.object({
  name: z.string(),
  primary: z.tuple([z.int().min(0).max(255), z.int().min(0).max(255), z.int().min(0).max(255)]),
  accents: z.array(z.string().regex(/^#[0-9a-f]{6}$/)).length(3),
});

const budget = z.object({
  month: z.string().regex(/^20[0-9]{2}-(0[1-9]|1[0-2])$/),
  spent: z.record(z.string(), z.number()),
  limit: z.number().positive(),
});

const shipment = z
  .object({ tracking: z.string().regex(/^[A-Z]{2}\d{9}[A-Z]{2}$/), weight_kg: z.number().gt(0).lte(30) })
  .and(z.object({ carrier: z.enum(["CTT", "DHL", "UPS"]), delivered: z.boolean() }));

const setting = z.union([
  z.object({ name: z.string(), value: z.number() }),
  z.object({ name: z.string(), value: z.string() }),
  z.object({ name: z.string(), value: z.array(z.string()) }),
]);

const settings = z.object({ version: z.literal(2), settings: z.array(setting).min(1).max(6) });

const person = z.object({
  name: z.string(),
  born: z.iso.date(),
  address: z.object({ city: z.string(), country: z.string().length(2).toUpperCase() }).nullable(),
});

const household = z.object({ members: z.array(person).min(2).max(4), pets: z.array(z.string()).optional() });

const quiz = z.object({
  title: z.string(),
  questions: z
    .array(
      z.object({
        question: z.string(),
        choices: z.array(z.string()).length(4),
        answer: z.union([z.literal(0), z.literal(1), z.literal(2), z.literal(3)]).describe("Index of the right choice."),
      }),
    )
    .min(2)
    .max(3),
});

const comment = z.object({
  author: z.string(),
  text: z.string(),
  get replies() {
    return z.array(comment).max(3);
  },
});

const thread = z.object({ topic: z.string(), pinned: z.boolean().optional(), first: comment });

const exported = { recipe, account, review, agenda, folder, palette, budget, shipment, settings, household, quiz, thread };

for (const [name, model] of Object.entries(exported)) {
  writeFileSync(join(process.argv[2], `zod_${name}.json`), `${JSON.stringify(z.toJSONSchema(model), null, 2)}\n`);
}

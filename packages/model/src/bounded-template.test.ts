import { Template } from '@huggingface/jinja';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundedTemplate } from './bounded-template.ts';
import * as limits from './limits.ts';

const chatml =
  '{%- for message in messages -%}<|im_start|>{{ message.role }}\n{{ message.content | trim }}<|im_end|>\n{%- endfor -%}' +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/** Each would hold a machine for ever, or fill its memory. */
const hostile: Record<string, string> = {
  'loops within loops': '{% for a in range(60000) %}'.repeat(4) + 'x' + '{% endfor %}'.repeat(4),
  'loops around nothing': '{% for a in range(60000) %}'.repeat(4) + '{% endfor %}'.repeat(4),
  'a range without end': '{% for a in range(10**9) %}{% endfor %}{% for a in range(999999999) %}{% endfor %}',
  'a macro that calls itself twice':
    '{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}',
  'a macro that calls itself': '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}',
  'a text that doubles':
    "{% set s = namespace(t='aaaaaaaa') %}{% for a in range(60) %}{% set s.t = s.t ~ s.t %}{% endfor %}",
  'a list that doubles': '{% set s = namespace(t=[1]) %}{% for a in range(60) %}{% set s.t = s.t + s.t %}{% endfor %}',
  'long texts, again and again':
    "{% set s = namespace(t='aaaaaaaa') %}{% for a in range(18) %}{% set s.t = s.t ~ s.t %}{% endfor %}" +
    '{% for a in range(60000) %}{% set x = s.t | upper %}{% endfor %}',
  'a deep indent': "{{ 'a\n' * 3 }}{{ 'a\nb' | indent(999999999) }}",
  'a long source': 'x'.repeat(limits.templateSourceCharsMax + 1),
};

describe('a chat template', () => {
  it.each(Object.keys(hostile))('that is hostile ends with an error: %s', (name) => {
    expect(() => boundedTemplate(hostile[name])({ messages: [] })).toThrow();
  });

  it('gives what the library gives, for any messages', () => {
    const messages = fc.array(fc.record({ role: fc.constantFrom('user', 'assistant'), content: fc.string() }));
    fc.assert(
      fc.property(messages, fc.boolean(), (list, prompt) => {
        const variables = { messages: list, add_generation_prompt: prompt };
        expect(boundedTemplate(chatml)(variables)).toBe(new Template(chatml).render(variables));
      }),
    );
  });

  it('of any model may be as long as any context is', () => {
    const messages = Array.from({ length: 500 }, () => ({ role: 'user', content: 'river '.repeat(500) }));
    expect(boundedTemplate(chatml)({ messages }).length).toBeGreaterThan(500 * 2900);
  });

  it('has the globals that the library gives', () => {
    const source =
      "{{ range(3) | join(',') }} {{ range(5, 1, -2) | join(',') }} {{ none is none }} {{ strftime_now('%Y') }}";
    expect(boundedTemplate(source)({})).toBe(new Template(source).render({}));
    expect(() => boundedTemplate("{{ raise_exception('no system role') }}")({})).toThrow(/no system role/);
  });
});

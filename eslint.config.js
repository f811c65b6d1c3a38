/** The rules of the house that a linter can check. Layout is prettier's, imports are the boundary checker's. */
import svelte from 'eslint-plugin-svelte';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const testFiles = ['**/*.test.ts', '**/*.suite.ts', '**/*.fixture.ts', 'e2e/**/*.ts', 'packages/testing/**/*.ts'];
const nodeFiles = ['apps/{relay,node,cli}/**/*.ts', '{scripts,bench,e2e}/**/*.ts', '**/*.node.ts', '*.config.ts'];
const configFiles = [
  '**/*.d.ts',
  '*.config.{js,ts}',
  '**/*.config.{js,ts}',
  '.dependency-cruiser.cjs',
  'apps/cli/bin/*.js',
];

/** Page globals that a forgotten declaration would silently mean instead. */
const confusingGlobals = ['name', 'event', 'status', 'length', 'origin', 'close', 'open', 'stop', 'print', 'find'];
const nodeGlobals = ['process', 'Buffer', 'global', 'require', 'setImmediate', '__dirname', '__filename'];

const houseSyntax = [
  { selector: 'ExportDefaultDeclaration', message: 'Export by name, so that a thing has one name everywhere.' },
  { selector: "ExportSpecifier[exported.name='default']", message: 'Export by name.' },
  { selector: 'TSEnumDeclaration', message: 'Use a union of literals.' },
  {
    selector: "MemberExpression[object.name='Promise'][property.name='withResolvers']",
    message: 'Node 20 has no Promise.withResolvers; use new Promise.',
  },
];

const testSyntax = [
  ...houseSyntax,
  {
    selector:
      'MemberExpression[object.name=/^(it|test|describe|suite)$/][property.name=/^(skip|only|todo|fixme|skipIf)$/]',
    message: 'No test is skipped, and none runs alone: repair it or remove it.',
  },
  {
    selector: "CallExpression[callee.property.name='waitForTimeout']",
    message: 'No sleeps: wait for the event.',
  },
];

const house = {
  rules: {
    'file-name': {
      create: (context) => ({
        Program(node) {
          const name = context.filename.split('/').at(-1);
          if (!/^\.?([a-z0-9]+(-[a-z0-9]+)*\.)+[a-z]+$/.test(name) && !/^[A-Z][A-Za-z0-9]*\.svelte$/.test(name)) {
            context.report({ node, message: `Name files in kebab-case, not ${name}.` });
          }
          if (/^(utils?|helpers?|common|managers?|misc)\./.test(name)) {
            context.report({ node, message: `Name the file by its one idea, not ${name}.` });
          }
        },
      }),
    },
    /** At most three positional parameters; a last one called `options` is a bag of names and does not count. */
    'positional-params': {
      create(context) {
        const check = (node) => {
          const positional = node.params.filter((param) => param.name !== 'options' && param.type !== 'ObjectPattern');
          if (positional.length > 3) {
            context.report({ node, message: `${positional.length} positional parameters; pass an object above 3.` });
          }
        };
        return { FunctionDeclaration: check, FunctionExpression: check, ArrowFunctionExpression: check };
      },
    },
  },
};

export default defineConfig(
  {
    ignores: [
      '**/dist/',
      '**/build/',
      '**/.cache/',
      '**/.svelte-kit/',
      'models/',
      'playwright-report/',
      'test-results/',
    ],
  },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    plugins: { house, '@typescript-eslint': tseslint.plugin },
    rules: {
      'house/file-name': 'error',
      eqeqeq: 'error',
      'no-var': 'error',
      'prefer-const': 'error',
      'no-console': 'error',
      'no-alert': 'error',
      'no-eval': 'error',
      'no-debugger': 'error',
      'no-self-compare': 'error',
      'no-unreachable-loop': 'error',
      'no-useless-catch': 'error',
      'no-empty': ['error', { allowEmptyCatch: false }],
      'no-constant-condition': ['error', { checkLoops: 'allExceptWhileTrue' }],
      'no-warning-comments': ['error', { terms: ['todo', 'fixme', 'xxx', 'hack'], location: 'start' }],
      'house/positional-params': 'error',
      'max-lines': ['error', { max: 500 }],
      'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
      'no-restricted-globals': ['error', ...confusingGlobals],
      'no-restricted-syntax': ['error', ...houseSyntax],
    },
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      // A signal's reason is `any` to the types.
      '@typescript-eslint/prefer-promise-reject-errors': [
        'error',
        { allowThrowingAny: true, allowThrowingUnknown: true },
      ],
      '@typescript-eslint/no-unnecessary-boolean-literal-compare': 'error',
      '@typescript-eslint/no-deprecated': 'error',
      '@typescript-eslint/consistent-type-imports': [
        'error',
        { fixStyle: 'inline-type-imports', disallowTypeAnnotations: false },
      ],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-unused-vars': ['error', { ignoreRestSiblings: true, caughtErrors: 'none' }],
      // Interfaces return promises that some implementations can answer at once.
      '@typescript-eslint/require-await': 'off',
    },
  },
  {
    files: ['packages/**/*.ts', 'apps/web/**/*.ts'],
    rules: { 'no-restricted-globals': ['error', ...confusingGlobals, ...nodeGlobals] },
  },
  { files: nodeFiles, rules: { 'no-restricted-globals': ['error', ...confusingGlobals] } },
  { files: ['apps/{relay,node,cli}/**/*.ts', '{scripts,bench}/**/*.ts'], rules: { 'no-console': 'off' } },
  {
    files: testFiles,
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      'max-lines-per-function': 'off',
      'no-restricted-globals': ['error', ...confusingGlobals],
      'no-restricted-syntax': ['error', ...testSyntax],
    },
  },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    extends: [svelte.configs['flat/recommended'], svelte.configs['flat/prettier']],
    languageOptions: { parserOptions: { parser: tseslint.parser, projectService: false } },
    rules: {
      ...tseslint.configs.disableTypeChecked.rules,
      // A component's script is one function to the rule.
      'max-lines-per-function': 'off',
      'prefer-const': 'off',
      'svelte/prefer-const': 'error',
      'svelte/no-at-html-tags': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
    },
  },
  {
    files: configFiles,
    rules: { 'no-restricted-syntax': 'off', 'max-lines-per-function': 'off' },
  },
);

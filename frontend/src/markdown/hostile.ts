/** Texts that try to run script, reach the network, or reach out of their message. For tests in any engine. */
export const HOSTILE: readonly string[] = [
  // Script addresses
  "[x](javascript:alert(1))",
  "[x](JaVaScRiPt:alert(1))",
  "[x](java\nscript:alert(1))",
  "[x](java\tscript:alert(1))",
  "[x](\u0001javascript:alert(1))",
  "[x]( javascript:alert(1))",
  "[x](javascript&colon;alert(1))",
  "[x](javascript&#58;alert(1))",
  "[x](javascript&#x3a;alert(1))",
  "[x](&#106;&#97;&#118;&#97;&#115;&#99;&#114;&#105;&#112;&#116;:alert(1))",
  "[x](java&Tab;script:alert(1))",
  "[x](java&NewLine;script:alert(1))",
  "[x](<javascript:alert(1)>)",
  "[x](javascript:alert(1) 'title')",
  "[x](javascript%3Aalert(1))",
  "[x](javascript://example.org/%0aalert(1))",
  "[x](vbscript:msgbox(1))",
  "[x](data:text/html,<script>alert(1)</script>)",
  "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
  "[x](blob:https://example.org/1)",
  "[x](file:///etc/passwd)",
  "[x](//example.org/protocol-relative)",
  "[x](view-source:javascript:alert(1))",
  "[x][y]\n\n[y]: javascript:alert(1)",
  "[y]\n\n[y]: data:text/html,alert(1) 'x'",
  "<javascript:alert(1)>",
  "<data:text/html,alert(1)>",
  '[x](https://example.org "onmouseover=alert(1)")',
  '[x](https://example.org "\\"onmouseover=\\"alert(1)")',
  '[x](https://example.org/"onmouseover="alert(1))',
  "[x](https://example.org/'onmouseover='alert(1))",
  '[a](<https://example.org/"><img src=x onerror=alert(1)>>)',
  "[`<img src=x onerror=alert(1)>`](https://example.org)",
  "[<img src=x onerror=alert(1)>](https://example.org)",
  // Images
  "![x](javascript:alert(1))",
  "![x](https://example.org/leak.png?secret)",
  "![x](//example.org/leak.png)",
  "![x](/\\example.org/leak.png)",
  "![x](data:image/svg+xml,<svg onload=alert(1)>)",
  "![x](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+)",
  "![x](data:text/html;base64,PHNjcmlwdD4=)",
  '![" onerror=alert(1) x="](data:image/png;base64,AAAA)',
  '![x](data:image/png;base64,AAAA"onerror=alert(1))',
  '![x](x "onerror=alert(1)")',
  // Tags
  "<script>alert(1)</script>",
  "<scr<script>ipt>alert(1)</scr</script>ipt>",
  "<SCRIPT SRC=//example.org/x.js></SCRIPT>",
  "<img src=x onerror=alert(1)>",
  "<img/src=x/onerror=alert(1)>",
  "<img srcset='//example.org/a 1x' src=x>",
  "<picture><source srcset='//example.org/a'><img></picture>",
  "<svg onload=alert(1)>",
  "<svg><script>alert(1)</script></svg>",
  "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
  "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
  "<svg><use href='data:image/svg+xml,<svg id=x onload=alert(1)>#x'/></svg>",
  '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
  "<math><mi//xlink:href='data:x,<script>alert(1)</script>'>",
  "<math href='javascript:alert(1)'>x</math>",
  "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
  "<iframe src=javascript:alert(1)></iframe>",
  "<iframe srcdoc='<script>alert(1)</script>'>",
  "<object data=javascript:alert(1)></object>",
  "<embed src=javascript:alert(1)>",
  "<base href=//example.org>",
  "<link rel=stylesheet href=//example.org/x.css>",
  "<meta http-equiv=refresh content='0;url=//example.org'>",
  "<style>@import '//example.org/x.css';</style>",
  "<p style='background:url(//example.org/x)'>x</p>",
  "<form action=//example.org><button>x</button></form>",
  "<input autofocus onfocus=alert(1)>",
  "<details open ontoggle=alert(1)>x</details>",
  "<template><img src=x onerror=alert(1)></template>",
  "<template shadowrootmode=open><script>alert(1)</script></template>",
  '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
  "<textarea><img title='</textarea><img src=x onerror=alert(1)>'>",
  "<xmp><img title='</xmp><img src=x onerror=alert(1)>'>",
  "<a id=defaultView name=body href=https://example.org>x</a>",
  "<img name=getElementById><form id=document>",
  "<video><source onerror=alert(1)></video>",
  "<audio src=x onerror=alert(1)>",
  "<marquee onstart=alert(1)>x</marquee>",
  "<x-element onclick=alert(1) is=y>z</x-element>",
  "<!--><img src=x onerror=alert(1)>-->",
  "<![CDATA[<img src=x onerror=alert(1)>]]>",
  "<?xml version='1.0'?><img src=x onerror=alert(1)>",
  "<kbd onclick=alert(1)>x</kbd>",
  "<sub><img src=x onerror=alert(1)></sub>",
  "<br onclick=alert(1)>",
  "<sup><script>alert(1)</script></sup>",
  // Inside markdown's own constructs
  "```<img src=x onerror=alert(1)>\ncode\n```",
  '```"onmouseover=alert(1)\ncode\n```',
  "```html\n<img src=x onerror=alert(1)>\n</code></pre><script>alert(1)</script>\n```",
  "    <img src=x onerror=alert(1)>",
  "`<img src=x onerror=alert(1)>`",
  "| <img src=x onerror=alert(1)> | b |\n|---|---|\n| <script>alert(1)</script> | [x](javascript:alert(1)) |",
  "- [ ] <img src=x onerror=alert(1)>\n- [x](javascript:alert(1))",
  "> <script>alert(1)</script>\n> ![x](javascript:alert(1))",
  "# <img src=x onerror=alert(1)>",
  "**<img src=x onerror=alert(1)>**",
  "&lt;img src=x onerror=alert(1)&gt;",
  "&#60;img src=x onerror=alert(1)&#62;",
  "\\<img src=x onerror=alert(1)>",
  "https://example.org/<img/src=x/onerror=alert(1)>",
  'www.example.org/"onmouseover=alert(1)',
  'a@example.org"onmouseover=alert(1)',
  // Formulas
  "$\\href{javascript:alert(1)}{x}$",
  "$\\url{javascript:alert(1)}$",
  "$\\includegraphics{https://example.org/leak.png}$",
  "$\\htmlData{x=y}{z} \\htmlStyle{color:red}{x} \\htmlId{body}{x}$",
  "$\\text{<img src=x onerror=alert(1)>}$",
  "$$\\unicode{<img src=x onerror=alert(1)>}$$",
  "\\(<img src=x onerror=alert(1)>\\)",
  "$\\def\\x{\\x\\x}\\x$",
];

const TAGS = new Set(
  (
    "a blockquote br button code del div em figcaption figure h1 h2 h3 h4 h5 h6 hr img kbd li ol p pre span strong " +
    "sub sup table tbody td th thead tr ul math menclose merror mfrac mi mmultiscripts mn mo mover mpadded mphantom " +
    "mroot mrow ms mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder munderover"
  ).split(" "),
);
const LINK = /^(?:https?:\/\/|mailto:)/;
const IMAGE = /^(?:data:image\/(?:png|jpeg|gif|webp|avif|bmp);base64,[A-Za-z0-9+/=]*|\/[^/\\].*)$/;

/** Everything below `root` that should never be on the page, named; empty when all is well. */
export function dangersIn(root: ParentNode): string[] {
  return [...root.querySelectorAll("*")].flatMap((element) => {
    const tag = element.localName;
    const bad = [...element.attributes].filter(({ name, value }) => {
      if (name === "href") return tag !== "a" || !LINK.test(value);
      if (name === "src") return tag !== "img" || !IMAGE.test(value);
      return /^(?:on.*|style|id|name|srcset|srcdoc|action|formaction|is|slot|xlink:href|data-.*)$/.test(name);
    });
    return [
      ...(TAGS.has(tag) ? [] : [`<${tag}>`]),
      ...bad.map(({ name, value }) => `<${tag} ${name}=${value}>`),
    ];
  });
}

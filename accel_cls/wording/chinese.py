"""Chinese texts written in other ways: characters that sound alike, characters in another order, the opposite."""

from __future__ import annotations

import re
from random import Random

# Characters of the same sound and tone, frequent in texts that are typed by sound. Words that negate are not among
# them: such a typo would say something else.
_HOMOPHONES = """
的地得 在再 做作坐座 他她它 已以 是事式试 有友 时实十食 很狠 快块筷 饭犯范 味位胃 道到 点典 小晓 员原圆园
服伏福 务物误 太态 质至制 量亮 价架驾 钱前 贵柜 新心辛 鲜先仙 美每 店电垫 家加佳 客课刻 装庄 凉良粮 意义易 错措
卖迈 订定 单担 慢曼 晚碗 中钟终 午五舞 天添 气汽器 人仁 声升 手首守 机鸡基积 公工功 司思丝 高糕 成城程 经京精
际记计 力利立历 理里礼 常尝 想响享 要药 会汇惠 可渴 就旧救 也野 送宋 菜蔡 度肚 直值 向象像 从丛 因音阴 所锁
号浩 带戴 话画 题提 名明 动洞 全权 间尖 清轻 近进 关官 期七 路录 报抱 包胞 商伤 界介 用佣
"""
_LIKE = {one: group.replace(one, "") for group in _HOMOPHONES.split() for one in group}
_HAN = "[\u4e00-\u9fff]"
NEGATIONS = "不没无未别非"
_PER_TYPO = 40  # characters of a text, for each of which there is one more

_DEGREE = (
    "(?:非常|特别|十分|超级|相当|比较|真的|真心|还是|稍微|略微|有点儿|有点|有些|很|太|挺|真|超|蛮|还|略|稍|较|"
    "好(?!像|多次|几))"
)
_QUALITY = (
    "(?:好吃|好喝|难吃|难喝|新鲜|满意|干净|热情|便宜|划算|实惠|及时|准时|方便(?!面)|喜欢|推荐|值得|舒服|漂亮|好看|精彩|有趣|"
    "无聊|失望|糟糕|开心|高兴|认真|周到|贴心|美味|清楚|清晰|流畅|耐心|友好|专业|靠谱|合理|容易|正宗|入味|油腻|好用|难用|难看|"
    "好玩|好听|安静|安全|重要|成功)(?!点|些|一点|到)"
)
_SHORT = "(?:好|快|慢|贵|差|香|脏|辣|咸|冷|烂|足|硬|软|多|少|大|小)"
_STOP = r"(?:[，。！？；、,.!?;~～…\s]|$)"
_END = f"(?=[了啊哦呢吧的]?{_STOP})"
_DENIED = f"(?:一点儿?[也都]|根本|完全|并|{_DEGREE})*不(?:太|怎么|是很|是太|够)?"
# At each place the first that fits. Those that deny do so only where nothing in the clause before denies already.
_RULES = [
    (re.compile("还?(?:是|挺|蛮|很|真)?不错"), "不怎么样"),
    (re.compile("不会再"), "还会再"),
    (re.compile(f"{_DENIED}({_QUALITY}|{_SHORT}{_END})"), r"很\1"),
]
_DENYING = [
    (re.compile("(?:还|肯定|一定|都)?会(再|继续|回购)"), r"不会\1"),
    (re.compile(f"{_DEGREE}*太({_QUALITY}|{_SHORT})了"), r"不\1"),
    (re.compile(f"{_DEGREE}+({_QUALITY}|{_SHORT})的(?={_STOP})"), r"不\1"),
    (re.compile(f"{_DEGREE}*({_QUALITY})"), r"不\1"),
    (re.compile(f"{_DEGREE}+({_SHORT}){_END}"), r"不\1"),
    (re.compile(f"(?<={_HAN})(?![好软烂]了)({_SHORT})(?=[了啊呢]?{_STOP})"), r"不\1"),
]
_ANY = re.compile("|".join(f"(?P<r{i}>{rule.pattern})" for i, (rule, _) in enumerate(_RULES + _DENYING)))
_CLAUSE = re.compile(r"[^，。！？；、,.!?;~～…\s]*$")
# After these a quality is compared, wished for or of another word: its denial would be no Chinese, or no opposite.
_BINDING = ("越", "最", "更", "么", "地", "该", "要", "请", "望", "能", "想", "免", "微", "加", "强", "以")


def homophones(text: str, draw: Random, count: int | None = None) -> str:
    """A character that sounds alike in place of another; of long texts several, or `count` of them."""
    places = [i for i, character in enumerate(text) if character in _LIKE]
    characters = list(text)
    for i in draw.sample(places, min(len(places), count or _typos(text))):
        characters[i] = draw.choice(_LIKE[text[i]])
    return "".join(characters)


def swapped(text: str, draw: Random, count: int | None = None) -> str:
    """Two neighbouring characters in the other order, none of which negates; of long texts several, or `count`."""
    places = [found.start() for found in re.finditer(f"(?={_HAN}{_HAN})", text)]
    places = [i for i in places if text[i] != text[i + 1] and not {*NEGATIONS} & {*text[i : i + 2]}]
    characters = list(text)
    for i in draw.sample(places, min(len(places), count or _typos(text))):
        characters[i], characters[i + 1] = characters[i + 1], characters[i]
    return "".join(characters)


def spaced(text: str, draw: Random) -> str:
    """Spaces between characters, where none belong."""
    places = [found.start() + 1 for found in re.finditer(f"(?={_HAN}{_HAN})", text)]
    for i in sorted(draw.sample(places, min(len(places), _typos(text))), reverse=True):
        text = f"{text[:i]} {text[i:]}"
    return text


def _typos(text: str) -> int:
    return 1 + len(text) // _PER_TYPO


def negated(text: str) -> str:
    """The opposite: what is said to be so is denied, what is denied is said to be so. The same where nothing is."""
    return _ANY.sub(_turned, text)


def _turned(found: re.Match[str]) -> str:
    number = int(str(found.lastgroup)[1:]) if found.lastgroup else 0
    rule, by = (_RULES + _DENYING)[number]
    if number >= len(_RULES) and _is_bound(found.string[: found.start()]):
        return found[0]
    match = rule.match(found.string, found.start())
    assert match is not None
    return match.expand(by)


def _is_bound(before: str) -> bool:
    """Whether what follows can't simply be denied."""
    clause = _CLAUSE.search(before)
    assert clause is not None
    return bool({*NEGATIONS, "比"} & {*clause[0]}) or clause[0].endswith(_BINDING)


_WIDE = {0xFEE0 + code: code for code in range(0x21, 0x7F)} | {ord("。"): ord("."), ord("、"): ord(",")}
_NARROW = {code: 0xFEE0 + code for code in range(0x21, 0x7F)} | {ord("."): ord("。")}
_POINT = re.compile(r"(?<=\d)\.(?=\d)")


def other_width(text: str) -> str:
    """Full-width signs, letters and digits as half-width ones; where there are none, the other way round."""
    narrow = text.translate(_WIDE)
    return narrow if narrow != text else _POINT.sub("．", text).translate(_NARROW)

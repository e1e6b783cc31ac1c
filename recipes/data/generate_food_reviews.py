"""Write food_reviews.csv: a sample of invented Chinese takeaway reviews with labels.

Why: the recipes need a text classification set that works offline and is honestly hard.
Every review is composed from the grammar below; none is taken from a data set.

* label 1 = satisfied (about a third), label 0 = not satisfied; the verdict that wins decides
  (味道不错，但是送了两个小时，差评 is a 0). Bare 还行 counts as 1, bare 一般 or 凑合 as 0.
* mixed, hedged and negated reviews share their words between both classes on purpose, and
  FLIP_RATE of all labels are wrong on purpose, so nothing can reach 100 percent accuracy.

Rerun with `python recipes/data/generate_food_reviews.py`: the seed is fixed and the file next
to this script comes out the same, byte for byte.

How the grammar is written: a table is a string of fragments separated by blanks. `[a|b|]` picks
one branch, `{name}` expands another table. A name that ends in `+`, `-` or `~` speaks well, badly
or mildly badly of something; `{good}`, `{bad}` and `{mild}` pick an aspect that the review has not
judged yet, `{same-}` takes up the last one again, `{own-}` is what a kitchen is known for. `，` is
a break that every writer punctuates in a personal style.
"""

import csv
import random
import re
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

SEED = 20240607
ROWS = 3000
POSITIVE_SHARE = 0.33
FLIP_RATE = 0.04
SHORTEST, LONGEST = 2, 300
SHORT_REPEATS = 6  # exact repeats allowed among texts of at most three characters
OUTPUT = Path(__file__).with_name("food_reviews.csv")

# Form of review: weight among the positive and among the negative ones.
FORMS = {
    "shout": (8, 6), "single": (6, 6), "several": (36, 29), "contrast": (11, 11),
    "story": (13, 13), "request": (7, 7), "compare": (4, 5), "ask": (1, 3), "echo": (4, 4),
    "hedge": (5, 5), "irony": (0, 2), "stars": (2, 2), "hint": (5, 5), "long": (6, 5),
}  # fmt: skip

# How often a review speaks of each aspect.
ASPECTS = {
    "taste": 32, "speed": 19, "rider": 8, "pack": 10, "price": 10, "portion": 11,
    "temp": 7, "clean": 6, "service": 9,
}  # fmt: skip
# What a review may call an aspect by name.
NOUNS = {
    "味道": "taste", "口味": "taste", "速度": "speed", "配送": "speed", "骑手": "rider",
    "包装": "pack", "价格": "price", "分量": "portion", "服务": "service", "态度": "service",
}  # fmt: skip
POLARITY = {"good": "+", "bad": "-", "mild": "~"}


class Kitchen(NamedTuple):
    """A kind of food: its dishes and what is said only of them."""

    kind: str  # tables named "<kind>.<name>" override the table "<name>"
    unit: str
    eat: str
    dishes: str
    good: str
    bad: str


KITCHENS = {
    "rice": Kitchen(
        "hot", "份", "吃",
        """黄焖鸡 卤肉饭 煲仔饭 鸡腿饭 咖喱饭 石锅拌饭 烤肉饭 扬州炒饭 猪脚饭 木桶饭 肥牛饭 鸡排饭
        鳗鱼饭 牛腩饭 叉烧饭 排骨饭 酱油炒饭 辣椒炒肉饭 腊味饭 猪扒饭""",
        """米饭[粒粒分明|很香|软硬刚好|蒸得不错] 酱汁拌饭[绝了|能吃两碗|特别香]
        肉[很嫩|炖得软烂|不柴|块头大|入味] [卤蛋|煎蛋|溏心蛋][很入味|是亮点|好吃]
        汤汁[浓|泡饭一绝|很下饭] 青菜[也|]很[新鲜|脆] 荤素搭配[得好|合理] 肉[比饭多|铺了满满一层]""",
        """米饭[夹生|硬得像石子|又干又硬|结成一块|有股馊味|粒粒都是硬的]
        肉[又柴又老|全是肥的|很腥|没熟透|咬不动] 酱[太咸|少得可怜|齁得慌] 饭多菜少 除了土豆就是洋葱
        全是土豆没几块肉 青菜[发黄|煮烂了|蔫了] 汤汁[把饭泡烂了|一股味精味]
        肉[就三四片|一共两块|得用放大镜找] 干巴巴的[咽不下去|没点汁]""",
    ),
    "noodles": Kitchen(
        "hot", "碗", "吃",
        """牛肉面 重庆小面 过桥米线 酸辣粉 螺蛳粉 炸酱面 刀削面 热干面 炒河粉 桂林米粉 担担面 葱油拌面
        兰州拉面 羊肉泡馍 乌冬面 番茄鸡蛋面 牛腩粉 花甲粉 砂锅米线 油泼面 臊子面""",
        """[面|粉][很|挺]筋道 [面|粉]有嚼劲 [面|粉]一点没坨 汤[头很鲜|底浓|很鲜，都喝光了|熬得很香]
        浇头[给得多|很足|实在] 辣子[很香|香而不燥] [酸|辣]得[够味|刚刚好|过瘾]
        汤是分开装的[，不坨|，很贴心|] [一口面一口汤|连汤带面]，舒服""",
        """[面|粉][都|全]坨了 坨成[一团|面饼|一坨] [面|粉][一夹就断|煮烂了|没煮熟|夹生]
        汤[都|全]被吸干了 汤[像|跟]刷锅水[一样|似的] 汤淡得[像白开水|没一点味]
        肉[薄得透光|就三片|要用放大镜找] 辣油[少得可怜|一股哈喇味] [醋|盐|碱][放太多了|味太重]""",
    ),
    "spicy": Kitchen(
        "hot", "份", "吃",
        """麻辣烫 麻辣香锅 冒菜 水煮鱼 毛血旺 酸菜鱼 烤鱼 串串 水煮肉片 小火锅 部队火锅 鸭血粉丝
        干锅牛蛙 香辣虾 酸汤肥牛""",
        """麻辣[鲜香|够劲|适中] 菜[很新鲜|洗得干净|给得多] 肉[很嫩|没腥味|滑] 越吃越[香|上头]
        汤底[很浓|可以直接喝|很香] 辣得[过瘾|冒汗|爽] 微辣刚好[，不会太刺激|] 香而不燥
        辣度[刚好|是我要的]""",
        """[只有|全是]辣[没有香味|，不香] [辣|咸]得[胃疼|没法下口|喝了三瓶水]
        菜叶子[烂的|发黄|没洗干净，有沙] 油[厚厚一层|多得吓人|腻得慌] 丸子[一股面粉味|没熟|里面是冰的]
        一股[土腥味|怪味|腥味] 要的[微辣|不辣]送来[特辣|变态辣] [豆芽|白菜]垫底，肉没几片
        麻得[舌头都木了|没知觉]""",
    ),
    "grill": Kitchen(
        "hot", "份", "吃",
        """羊肉串 烤鸡翅 烤茄子 烤生蚝 小龙虾 烤冷面 牛板筋 烤五花肉 蒜蓉扇贝 烤羊排 烤鸭 烧鹅 卤猪蹄
        盐焗鸡""",
        """烤得[外焦里嫩|火候刚好|很香] 调料[味很足|香|撒得匀] 肉[新鲜|大块|不膻|实在]
        宵夜[就认这家|绝配] 看球[配啤酒|下酒]绝了 皮脆肉嫩 [骨头|手指]都嗦干净了""",
        """[有点|都|]糊了[，发苦|] 肉[小得可怜|一股膻味|咬不动|没熟] 一股[地沟油|焦糊|陈油]味
        [骨头|签子]比肉多 凉了[全是油|根本咬不动] 调料[不均匀，有的没味有的齁|撒得跟不要钱似的]
        个头[小得像玩具|缩水]""",
    ),
    "fried": Kitchen(
        "hot", "份", "吃",
        """炸鸡 香辣鸡腿堡 大鸡排 薯条 鸡米花 披萨 牛肉汉堡 全家桶 韩式炸鸡 榴莲披萨 鸡肉卷 热狗 猪排堡
        芝士焗饭""",
        """[外皮|皮][酥脆|很脆|脆得掉渣] 里面[很嫩|多汁|料足] 送到还[是脆的|很酥] 酱料[给得足|很搭]
        [不比|不输]KFC[|，还便宜] 一口[爆汁|下去满足] 炸得[刚好|不油]""",
        """[皮|外面][都|全]软了 炸[糊了|得发黑|得太老] 里面[是生的|带血|没熟|冰的]
        都是面粉[，肉就指甲盖大|] 软塌塌的[，一点不脆|] [干巴巴|又冷又硬] 油[腻得慌|太大|陈得发苦]
        还不如[KFC|麦当劳] 酱[就给一包|都没给]""",
    ),
    "dough": Kitchen(
        "hot", "份", "吃",
        """饺子 小笼包 生煎 馄饨 煎饼果子 肉夹馍 酱肉包 皮蛋瘦肉粥 锅贴 烧麦 手抓饼 鸡蛋灌饼 肠粉
        灌汤包 南瓜粥 海鲜粥 韭菜盒子 抄手""",
        """皮薄[馅大|馅多|汁多] 里面[料足|很鲜|料很实在] 早餐[就吃|一直点]这家 蘸[醋|辣椒油][绝了|更香]
        现做的[，一吃就知道|] [软糯|暖胃|鲜]，老人[也|]爱吃 清淡[可口|不腻]，早上吃正好""",
        """皮[厚得像饼|硬得咬不动] 馅[小得找不着|有股味|没熟|不新鲜] [全|都]粘在一起了
        稀得[像水|能照人] [是|肯定是]速冻的[吧|，一吃就知道] 面[没发好|发酸] [腥|腻]得[咽不下|反胃]
        咬半天[没见着馅|没咬到肉]""",
    ),
    "home": Kitchen(
        "hot", "份", "吃",
        """宫保鸡丁 鱼香肉丝 红烧肉 西红柿炒鸡蛋 酸辣土豆丝 回锅肉 麻婆豆腐 糖醋里脊 地三鲜 小炒肉
        手撕包菜 干锅花菜 梅菜扣肉 京酱肉丝 锅包肉 辣子鸡 剁椒鱼头 红烧排骨 大盘鸡 可乐鸡翅 蒜薹炒肉""",
        """[很|特别|真]下饭 [有|是]家里的味道 像我妈做的 火候[到位|刚好] 锅气[足|十足]
        炒得[很香|入味|有水平] 配菜[新鲜|脆爽] 不[油|咸]不腻[，刚刚好|] 油[放得少|不大]，吃着舒服
        一个菜[下两碗饭|就够了]""",
        """[炒|做]得[太老|半生不熟|一塌糊涂|跟食堂似的] [全是|一半是]油 盐[不要钱似的|没放|像放了两遍]
        味精[味太重|放多了，口干一下午] 像[昨天剩的|回锅热的|大锅菜] 配菜比[肉|主料]多
        [又酸又甜|黑乎乎的]，不知道是啥 淀粉[糊得跟浆糊一样|勾太厚] 油汪汪的[，腻|]""",
    ),
    "cold": Kitchen(
        "cold", "盒", "吃",
        """鸡胸肉沙拉 三明治 寿司 三文鱼刺身 金枪鱼饭团 凉拌鸡丝 卤鸭脖 凉菜拼盘 水果捞 凉皮 全麦卷
        加州卷 钵钵鸡 凉面""",
        """食材[新鲜|很新鲜] [清爽|爽口]不腻 减脂期[吃正好|的救星] 酱[调得好|很搭]
        料[铺得满满的|给得实在] [脆|鲜]得很 夏天吃[正好|太舒服了]""",
        """[都|]蔫了 [发黑|出水|发酸]了 一股冰箱味 酱[少得可怜|酸得倒牙|太腻]
        没味道[，像吃草|，跟嚼蜡一样] [腥|酸]得[不敢吃|咽不下去] 不知道放了多久 又干又硬[，噎人|]""",
    ),
    "dessert": Kitchen(
        "cold", "份", "吃",
        """双皮奶 提拉米苏 榴莲千层 芋圆 生日蛋糕 蛋挞 烧仙草 红豆沙 毛巾卷 泡芙 冰粉 芒果班戟 绵绵冰
        雪媚娘""",
        """甜而不腻 口感[细腻|绵密|软糯|很好] 颜值[高|在线] 甜度[刚好|正好] 真材实料[，没有香精味|]
        过生日{who}很喜欢 [入口即化|一口一个]""",
        """甜得[发腻|齁嗓子] [化|塌|压]成一坨 一股[植物奶油|香精]味 里面[是空的|没料] 干巴巴的
        [字|样子]都花了 [硬得|酸得]不正常 跟图[完全|]两个东西""",
    ),
    "drink": Kitchen(
        "drink", "杯", "喝",
        """珍珠奶茶 柠檬茶 杨枝甘露 拿铁 芋泥波波 冰美式 葡萄果茶 西瓜汁 抹茶拿铁 生椰拿铁 百香果茶
        豆乳奶茶 酸梅汤 芝士奶盖茶""",
        """甜度[刚好|正好] 三分糖[不腻|正合适] 料[足|给得多] 真材实料 [奶|果|茶]香[很浓|十足]
        下午[提神|续命]全靠它 [清爽|解腻] 不会太甜""",
        """甜得[发腻|齁] 说了三分糖[还|结果]甜死人 [全是|大半杯都是]冰 一股[香精|奶精|糖精]味
        淡得[像水|没味] 跟[白水|刷杯子水]似的 冰[全化了|都化成水了] 说了去冰[还是|结果]满满的冰
        苦得[没法喝|发涩]""",
    ),
}  # fmt: skip

FRAGMENTS = {  # within a table the first ones are the most common
    # Small words.
    "wait": """[一个半|一个多|1个多|1.5个|两个|2个|两个多|俩|仨]小时 [70|80|90|100|120]多分钟
        [75|85|95|110]分钟 一小时[四十分|五十分|20分] [一|1]个[钟头|小时]""",
    "quick": "[20|25|18|28|30]分钟 二十[来|多]分钟 十几分钟 半小时 不到半[个|]小时 [一刻钟|半个小时]",
    "yuan": """[15|18|22|25|28|32|36|45|58]块[钱|] [二十|三十|四十][多|几]块[钱|] 十[五六|八九]块
        [19.9|29.9]""",
    "who": "同事 室友 老公 女朋友 男朋友 我妈 老婆 闺蜜 我弟 孩子 家里老人 朋友",
    "rider": "骑手 小哥 外卖小哥 送餐员 配送员 外卖员 送餐的 送餐师傅",
    "shop": "店家 商家 老板 店里 卖家",
    "gift": "可乐 小菜 饮料 酸奶 水果 酸梅汤 纸巾",
    "ban": "香菜 葱 辣 蒜",
    "cold.ban": "酱 葱 坚果",
    "drink.ban": "糖 冰 珍珠",
    "more": "辣椒 醋 料",
    "cold.more": "酱 料 冰袋",
    "drink.more": "料 冰 珍珠",
    "much": "很 真 挺 蛮 超 特别 非常 相当 真的很 确实 还是很",
    "too": "太 太 太 实在太 也太 真的太 确实太 有点太",
    "when": """今天 昨天 昨晚 中午 晚上 今天中午 今晚 周末 早上 半夜 [周一|周三|周五]中午 下雨天 加班
        开会晚了 大冷天""",
    # Taste.
    "taste+": "{any+} {own+} {own+} {not+}",
    "taste-": "{any-} {own-} {own-} {not-} {not-}",
    "taste~": """味道[一般|普通|偏淡|偏重|中规中矩|没什么特别] [稍微|]有点[腻|淡] 略[淡|腻]
        口味[见仁见智|偏甜|重了点] 没[有|]什么亮点 没[有|]惊艳到我 {dish}[一般|普通|稍逊]
        {dish}不如[招牌的|店里的] [卖相|样子]差点意思""",
    "any+": """味道{much}不错 味道{much}好 {much}好{eat} 太好{eat}了 {dish}{much}好{eat}
        {dish}[绝了|是一绝|真香|没的说|必点] 味道[正宗|地道|一级棒|没得说|很赞|在线|对胃口|可以|刚刚好]
        {eat}得[很|真]过瘾 全[部|]{eat}光了 {who}{much}喜欢 {who}[也说|都说|直说]好{eat}
        好{eat}到[哭|飞起|停不下来|舔盒子] 口味{much}[不错|赞] {much}对我[的|]胃口
        跟[图片|店里][一样|一模一样|差不多] 卖相[不错|好，味道更好] 是我{eat}过最好{eat}的{dish}
        还是[那个|熟悉的|原来的]味道 [最|特别][爱|喜欢]他家的{dish} 真心好{eat} 果然是"招牌"
        {eat}完[还|就]想[再|]{eat} 香[得很|迷糊了|得不行] {dish}[有惊喜|很惊艳]""",
    "any-": """味道{too}差了 味道{much}差 {too}难{eat}了 {dish}{too}难{eat}了
        难{eat}[死了|到想哭|至极|得要命] 味道[怪怪的|不行|一言难尽] 味道[不敢恭维|说不出的怪|变了]
        [没什么|没一点|没啥]味道 没味儿 {eat}着[像|跟]塑料[一样|似的] {dish}[做成这样|做得]也是没谁了
        跟图[片|]差[太远|十万八千里] 图片和实物[完全|]两回事 {eat}得[想吐|犯恶心|难受] {dish}{much}一般
        {who}[也说|都说|直说]难{eat} [是我|]{eat}过最[难{eat}|差]的{dish} 口味[太差|很怪|真不行]
        所谓的"招牌"[就这水平|也就那样] 难以下咽 {dish}[翻车|拉胯|不正宗] 白瞎了[这|]好食材
        越{eat}越[难受|不对劲] 毫无[口感|味道]可言""",
    "not+": """不难{eat} 没[有|]评论[里|]说的那么[差|难吃|糟] 挑不出[什么|]毛病 没踩雷
        [一点|]不比[店里|大饭店|堂食]差 没[让我|让人]失望[过|] 不是[随便|]糊弄人的
        没想到[外卖|他家]也能这么好{eat} 怎么{eat}都不腻 好{eat}得[不像话|过分|想骂人]
        不[得不|能不]说好{eat} 说难{eat}的[我|]不能理解 一点[也|都]不[难{eat}|敷衍|差]
        差点[就|]错过[了|这么好的店] 没有{eat}够 谁说[外卖|便宜]没好货 比看着好{eat}
        看着一般，{eat}着{much}香 不是不好看，是太好{eat}[没来得及拍|了顾不上拍]""",
    "not-": """没[有|][想象|传说]中[那么|]好{eat} 没[有|]图片上[好看|那么多|诱人]
        不如[以前|楼下|别家|从前]好{eat} [谈不上|算不上|说不上]好{eat} [哪里|到底哪里]好{eat}了
        不知道[这么多好评|4.9分|月售两千]怎么来的 好评[都是|怕不是][刷的|返现换的]吧 好{eat}才怪
        不[怎么|是很|太|咋]好{eat} 对不起[这个评分|那么多好评|五星]
        亏我[等这么久|还推荐给{who}|这么期待] 一口就不想{eat}了 [狗|猫]都不{eat} 食堂都比这[好{eat}|强]
        {who}说不难{eat}，我是真{eat}不下去 看着[挺好|诱人|不错]，{eat}着不行
        一点[也|都]不[香|好{eat}|正宗|入味] 好{eat}两个字说不出口
        不是不好{eat}，是[根本没法{eat}|没有味道]""",
    # Delivery.
    "speed+": """送餐{much}快 送得{much}快 {quick}就[送到了|到了|拿到了]
        比预计[时间|]早到[了|][十分钟|不少|几分钟|一刻钟] 没等多久[就到了|]
        配送[神速|很快|给力|及时|很准时] [下着大雨|大热天|高峰期|饭点][还是|也|照样]准时[送到|到了]
        速度[可以|没得说|杠杠的|很赞|快] 每次都[很准时|送得很快]
        刚[洗完澡|开完会|收拾完桌子]就[到了|送来了] 一点没耽误[吃饭|上班] 比我想的[还|]快
        不用催[就到了|] 以为要等很久，[{quick}就到了|没想到很快] 没超时 {quick}[送达|到手] 不慢
        [掐着点|准点]送到的 送得一点[也|都]不慢""",
    "speed-": """等了[整整|快|差不多|足足|]{wait} [等了|]{wait}才[送到|到|吃上|送来] 送餐{too}慢了
        送得{too}慢了 超时[半个多小时|四十分钟|快一小时][也没人说一声|]
        催了[三次|好几遍|无数次|两回][才送|都没用|还说在路上]
        [11点下单1点|十一点半点的一点多|12点下单快2点|五点半点的七点多|六点的单快八点]才[到|送到]
        显示[已送达|早就送到了]，[其实|可我]根本没收到 等到[花儿都谢了|没胃口了|睡着|饿过劲|快下班]
        提前[一小时|俩小时]订的还[迟到|晚了] 说好{quick}，[结果|实际]{wait} 走路去店里都比这快
        离我[就一条街|不到一公里|走路十分钟]送了{wait} 午休[都|]结束了饭还没到 [骑手|小哥]半天不取餐
        商家[一直|四十分钟|半天]不出餐 配送[慢得离谱|太不靠谱|慢死] 慢[得要命|死了|到怀疑人生] 不准时
        [催了也|一点都]不快 预约[12点，一点半|十一点半，快一点|六点，七点半]才来""",
    "speed~": """送得[稍微|有点|略]慢 晚了[十来分钟|一刻钟|几分钟] 等得有点[久|长] 配送[稍|有点]慢
        超时[几分钟|了一小会儿] 等了[四十多分钟|一会儿|50分钟] [饭点|下雨]送得慢[了|]点
        比平时慢[了|]一些 速度[差了点|一般|有待提高]""",
    "rider+": """{rider}[态度|人]{much}好 {rider}{much}[客气|有礼貌|和气|热情]
        {rider}[爬了六楼|顶着大太阳|冒着雨|淋得湿透]送上来[，辛苦了|]
        {rider}还帮[忙带了垃圾下去|我送到工位] 电话里{much}客气 送到[楼上|门口|手里][还说用餐愉快|]
        {rider}找不到路也没抱怨 {rider}[等|多跑]了一趟也没[生气|不耐烦] 给{rider}[点赞|五星|加个鸡腿]
        {rider}[真棒|很负责|靠谱]""",
    "rider-": """{rider}态度[恶劣|极差|很冲|不好] {rider}[死活|就是|说什么也]不[肯|愿意]上楼
        送[错了地址|到隔壁小区去了|到别人家了|错楼了] 打电话[不接|一直没人接|打了五个没人接]
        电话里[吼我|跟我吵|骂骂咧咧] 扔[在|]门口就走[也不打电话|也不敲门|] 没送到就点[了|]送达
        {rider}找不到地方还[怪我|冲我发火] {rider}[像我欠他钱|一脸不耐烦]
        让我[自己|]走[五百米|到小区外面|两站路]去拿 地址[写得那么清楚|明明没错]还送错
        [被|让]别人[拿错|拿走]了也没人管 {rider}把[餐|东西]放错[楼|前台]了""",
    "rider~": """{rider}[不太熟路|绕了一圈|找错了一次楼|话不多] 要[自己|]下楼[拿|取]
        打了两次电话才找到[地方|] {rider}有点[急|赶] 没送上楼""",
    # Packaging, temperature, portion: what is drunk or eaten cold has its own words.
    "pack+": """包装{much}好 包装[严实|仔细|用心|精致|干净|结实|很上心] 汤[一滴|一点]都没[洒|漏]
        [盒子|袋子]封得{much}严 还[送了|配了][手套|湿巾|牙签|保温袋] 打包{much}[细心|扎实]
        餐具[齐全|给得很足] 一点没[洒|漏] 没有[洒|漏|撒]出来 路上颠也没洒""",
    "pack-": """汤[全|都|]洒了 洒了[一半|一袋子] 袋子[破了|是破的|湿透了|漏油]
        包装[太差|简陋|太烂|很敷衍|有问题] 盒子[都|]压扁了 盖子[没盖紧|开了|都没扣上] 油漏了一手
        没给筷子[，让我手抓吗|，怎么吃|] 餐具[都不给|少一份|没给] 打开[一看|]全[洒了|混在一起了|翻了]
        撒得[到处都是|只剩一半] 就套了[个|一层]塑料袋 [书包|车筐|桌子|地毯]上全是油""",
    "pack~": """包装[一般|普通|简单了点] [稍微|]洒了一点[点|] 盒子[有点|]变形 忘[了|]放[筷子|纸巾|勺子]
        袋子有点油 盖子有点松""",
    "drink.pack+": """封口{much}严 一点没[洒|漏] 吸管[给了两根|也没忘] 包装{much}[好看|可爱|用心]
        杯子{much}[结实|好看] 没有洒[出来|]""",
    "drink.pack-": """洒了[半杯|一袋|一半] 杯[盖|子][裂了|没封好] 没给吸管[，怎么喝|] 袋子[全湿了|漏了]
        拿到[手|]就剩[半杯|大半杯] 漏得[到处|满袋]都是""",
    "drink.pack~": "[稍微|]洒了一点[点|] 包装[一般|普通] 杯子有点漏 忘[了|]放吸管",
    "temp+": """[送到|拿到手|到的时候]还是[热的|热乎的|烫的] 热[乎乎|腾腾]的
        [大冬天|这么冷的天]送来还冒热气 一点没凉 温度刚好 保温[做得|]不错 送到也没凉
        [到手|打开]还[烫嘴|冒着热气] 不是[凉|冷]的，[还|挺]烫""",
    "temp-": """[送到|拿到手|打开][都|已经|全]凉了 凉透了 {dish}[都|]是[冷|冰|凉]的 冷冰冰的
        凉得[没法吃|油都凝了] 大冬天[给我|让人]吃冷的 一点热乎气都没有 还得自己[热一遍|用微波炉热]
        到手一点[也|都]不热 说是现做[的|]，[怎么会是凉的|一点不烫] 早就凉了""",
    "temp~": "[到手|送到]有点凉 [到手|送到]不太热了 只剩温的 要是再热一点就好了 略凉 不够烫",
    "cold.temp+": "冰袋[还没化|都没化完] 拿到还是[冰|凉]的 保鲜[做得不错|很好] 冰冰凉凉[的|正好]",
    "cold.temp-": "冰袋早化了 捂得都[温|热]了 闷得一股味 到手[都|]是温的 一点都不冰",
    "cold.temp~": "冰袋化了一[点|半] 不够冰 [到手|送到]有点温",
    "drink.temp+": "[送到|到手]还是冰的 冰块都没化 热饮[到手|送到]还烫 温度[刚好|正好]",
    "drink.temp-": """点的热的送来[是凉的|成常温了] 到手[都|]温吞吞的 一点都不[冰|热]
        常温的[跟放了一天似的|，怎么喝]""",
    "drink.temp~": "冰化了[一点|一些] 不够[冰|热] 到手有点温",
    "portion+": """分量{much}足 量{much}大 量[够|超大|很实在|管饱] 料{much}足 一个人[根本|]{eat}不完
        一{unit}[两个人|我和{who}][都|]够 [吃|{eat}]得{much}[饱|撑] 满满一大{unit} 给得[真|很]实在
        分量[没缩水|没变少|跟以前一样多] 撑得[走不动|不行] 没想到[这么|能有这么]大[一|]{unit}""",
    "portion-": """[分量|量]{too}少了 [根本|压根|]没吃饱 [两口|三口|几口]就没了 越来越少[了|]
        半{unit}都不到 喂[猫|鸟|小孩]呢 比以前少[了|][一半|一大截|三分之一] [分量|量]{much}少
        一{unit}就[几口|那么一点] [大份|加量]跟[小份|没加]一样 男生[根本|肯定]吃不饱 缩水[严重|太厉害]
        塞牙缝都不够 量一点[也|都]不足 图上满满一{unit}，实际[半{unit}|一个底]""",
    "portion~": """量[稍微|有点|略]少 分量[一般|不算多|可以再多点] 男生可能不太够 量比[以前|上次]少了点
        要是再多一点就好了""",
    "drink.portion-": """[几口|三口]就见底 大半杯是冰 量[太|也太]少了 大杯[跟|和]小杯一样
        没喝[两口|几口]就没了 [料|果肉]没几颗""",
    "price+": """{much}实惠 性价比{much}高 不贵 价格[公道|合适|合理|很良心|能接受]
        满减完[才|就]{yuan}[，值|] {yuan}能[吃|{eat}]成这样[，值了|] 便宜[又|还]好{eat}
        物[美价廉|有所值|超所值] 学生党[{eat}得起|福音] 这个价[没得挑|很可以了|还要啥] 不算贵
        {yuan}[两个人吃|{eat}到撑][，划算|] 贵有贵的道理 一点[也|都]不贵 比[店里|别家]便宜""",
    "price-": """{too}贵了 {yuan}就[这么点|给这点东西|这] {yuan}都能去店里吃了 性价比{too}低了
        不值[这个价|这个钱|] [又|偷偷|一声不吭]涨价了 配送费[比饭还贵|又涨|贵得离谱]
        包装费[居然|都]要[三块|五块|四块] 跟抢钱[一样|似的] 满减[都是|全是]套路
        比[店里|堂食|别家]贵[一截|六块|好多] 这[价|价钱]不如[去吃KFC|自己做|再添点下馆子]
        实惠[谈不上|个鬼] 便宜没好货 一点[也|都]不[便宜|实惠|划算] {yuan}[扔水里了|白花了|花得冤]""",
    "price~": """[稍微|]有点[小|]贵 价格[略|稍微有点|偏]高 配送费[高了点|有点贵] 不算便宜
        活动[少了点|力度小] 价格小贵""",
    # Hygiene and service.
    "clean+": """[看着|吃着]{much}干净 [干净|很]卫生 {eat}着[放心|安心] 没有怪味 食材{much}新鲜
        {eat}完肚子没[有|]不舒服 新鲜[，没有异味|] 后厨能直播，放心
        {eat}了[好几年|这么多次]没[拉过|闹过]肚子""",
    "clean-": """{find-} {find-} [不|很不|太不][干净|卫生] {eat}完[拉肚子|闹肚子|跑了三趟厕所]
        有[股|一股][怪味|馊味|抹布味|洗洁精味] {who}[拉了一下午|胃疼一晚上|上吐下泻]
        一点[也|都]不[干净|新鲜|卫生] [是|怕是]隔夜的吧 [第二次|又一次|第三回]吃出[虫子|头发]了
        这卫生[堪忧|不敢恭维]""",
    "find-": """[吃出|里面有|翻出|吃到][一根|]头发
        [里面|里头|底下][有|爬着|居然有][虫子|一条虫|小飞虫|一只苍蝇|蟑螂腿]
        盒子[上|里][有霉点|黑乎乎的] [吃出|吃到|里面有][一截钢丝|一块塑料|半片指甲]
        [头发|虫子]都给我吃出来了""",
    "drink.find-": """[杯口|里面|杯底]有[头发|小飞虫|黑点|虫子] [喝出|喝到][一根|]头发
        杯子[不干净|黏糊糊的]""",
    "clean~": "盒子外面有点油 [看着|]不太新鲜 有一点点[怪味|腥] 卫生没法判断",
    "drink.clean-": """{find-} {eat}完[拉肚子|闹肚子|胃疼] 有股[怪味|馊味|抹布味] 奶[是|像是]坏的
        水果[烂的|不新鲜] [不|很不|太不][干净|卫生]""",
    "service+": """{shop}[态度|服务]{much}好 {reply+} 服务[周到|贴心|没话说|好] 备注[都看了|都照做了]
        {shop}[还送了|多送了|附赠][{gift}|一张手写卡片][，惊喜|，有心了|] 说不要{ban}真的没放
        没有[送错|漏过|少过]东西 {shop}{much}[热情|实在|用心] 每次都送{gift}""",
    "reply+": """{shop}[马上|立马|二话不说][退了钱|补了一{unit}|重做了一{unit}]
        客服[回得快|处理很及时|很耐心] {shop}[主动|专门]打电话[道歉|解释] {shop}态度{much}好
        [马上|十分钟就]补[送|]了 [退款|处理]很[快|痛快]""",
    "service-": """服务[太差|跟不上|真不行] {reply-} 备注[从来不看|白写了|形同虚设]
        说[了|]不要{ban}，[照样|还是|偏偏]放了 [送|发|装]错[了|][餐|东西|口味]
        少[送|给|装]了[一份|一样|一个][也不补|] 点的{dish}送来{dish2} 给差评[还|就]打电话[骚扰|让我删]
        不给[开|]发票 说好送的{gift}[没给|没影了] 好评返现[也|都]不兑现""",
    "reply-": """{shop}态度[差|极差|敷衍|恶劣|很横] {shop}[不承认|不认账|不理人|让我找骑手]
        打电话给{shop}爱答不理 客服[永远在忙|踢皮球|只会复制粘贴] 退款[拖了三天|不给退|还要我举证]
        电话里道歉，[转头|回头]就没下文 没人[管|理|处理]""",
    "service~": """备注没看[到|] {shop}回消息慢[了点|] 答应的{gift}忘了放
        少[放|给]了[包辣椒|双筷子|一包醋] 备注没照做""",
    # Verdicts, consequences, pleas.
    "praise": """好评 五星[好评|] 推荐 推荐[给大家|大家试试] [下次|以后]还[会|]点 [下次|以后]还来
        会回购 值得[推荐|再点|表扬] [已|]收藏了 总体[满意|不错|很满意|可以] 赞一个 给[个|]好评 满分
        必须[好评|五星] 点个赞 继续支持 会一直[点|光顾] 没有理由不给好评 不会[再|]点别家[了|]
        不后悔[点|] 瑕不掩瑜 整体[挺好|OK] 好评给[老板|厨师|骑手] 本来想[给|]差评，算了，好评 不亏
        下次[试试别的|换个口味] 有机会再点 [还是|依然]好评 值[了|] 常点 放心点 冲""",
    "blame": """差评 [再也|以后|绝对]不[会|]点了 不会再[点|来]了 不推荐 不推荐[给别人|大家点] 拉黑[了|]
        一星[都嫌多|] 别点 失望[透顶|] 没有下次了 避雷 给个差评[让大家看看|] 后悔[点了|] 浪费[钱|粮食]
        投诉了 最后一次[点|]了 总体[不满意|一般|失望] 不会回购 本来想给好评的 好评给不了
        五星给[骑手|包装|速度]，[饭|味道]一星 [下次|以后]换一家 好评是不可能[的|了] 下次[还是|]点别家
        不值得推荐 没有再点的理由 [只能|最多]给[两|2|一]星 满分[五分|]给两分 慎点 [取关|取消收藏]了
        无语 糟心 算我倒霉 劝退""",
    "joy": """[盒子|碗底]都舔干净了 {who}抢着{eat} [第二天|隔天|过了两天|晚上]又点了
        已经[推荐给|安利]{who}了 {who}闹着明天还要 减肥计划[又|]泡汤了 一周点[了|]三[次|回]
        {eat}完想再来一{unit} 办公室[人手一{unit}|都被我带着点了] 胖三斤都怪这家
        被{who}抢走[半{unit}|一大半] 后悔没多点一{unit} 隔壁工位闻着味过来了 怪不得[老|总]排队
        [天天|顿顿]{eat}[都|也]行 {who}从来不夸人，今天夸了 明天[接着|继续]点 连点[三天|四天|一星期]了
        就剩空盒了 存了[店家|他家]电话 发了朋友圈[，好几个人问|] 从[大学|怀孕|上班第一天]{eat}到现在
        没{eat}够，明天再来 {who}问我在哪[点|买]的 不想让太多人知道[这家|] 希望[别倒闭|一直开下去]
        以后不做饭了""",
    "grief": """最后[泡了碗泡面|煮了点面条|啃了个面包|吃了包饼干] 全倒[了|掉] 剩了[一大半|大半{unit}]
        {who}{eat}一口就不{eat}了 {who}说以后别让我点餐 还是自己做[吧|饭香] 饿着肚子[上了一下午班|睡的]
        晚饭变夜宵 幸亏[抽屉里有饼干|冰箱里有剩饭] 最后去楼下[买了个煎饼|吃的面] 第二天请了[病|]假
        就当[交学费|花钱买教训|减肥]了 [点|买]了个寂寞 喂流浪狗[都不闻|，狗看了一眼就走] 心情都没了
        {who}嫌弃了我一下午 一口没动 扔[了|]垃圾桶 退款[又|]等[了|]一星期 下次老老实实吃食堂
        以后自己带饭 为了凑满减[点的|]，亏大了 好好的[周末|午饭|生日]毁了 默默删了收藏
        删了[软件|店铺收藏] {who}问我是不是跟[他|她]有仇 连{who}都看不下去了 当初怎么想[着|起]点这家的
        说多了都是泪 好心情到此结束 我还是去[楼下|隔壁]吧""",
    "plea": """[麻烦|请|希望]{shop}[下次|以后|][把盖子盖紧|看看备注|洗干净点|别糊弄人|用点心]
        [希望|建议]{shop}[检查一下再送|换家配送|管管骑手|重视起来]
        能不能[快一点|用点心|对顾客负责|别再偷工减料][啊|？|] [退钱|给个说法|求退款|等退款]
        [到底|]什么时候给我退[？|] 希望[改进|改改|平台管管|重视一下卫生|骑手培训一下]
        请[尊重一下|对得起]顾客 要是不改[就|]没人点了 {shop}好好[反省|想想]吧
        别光顾着[接单|赚钱|刷好评] [平台|食药监]该[管管|查查]了 做不过来[就|]别接单""",
    "wish": """[建议|希望]{shop}[出个小份|多搞[点|]活动|品种再多些|多给点{more}]
        希望[晚上关门晚一点|开到我们这边来]
        希望[继续保持|一直这样|别涨价|分量别变|配送再快点|下次再热一点|包装再好点]
        要是[再香点|便宜两块|能送饮料|配送费低点|再快点]就[更好|完美]了
        能不能[多给点{more}|出个家庭装|早上也营业][啊|？|]
        建议[换个盒子|出个套餐|换个袋子]，别的[都好|没毛病] 老板[加油|别飘]""",
    "say": "说实话 讲真 怎么说呢 老实说 不得不说 个人觉得 反正 emmm 真的 嗯 总之 只能说 总的来说",
    "gasp+": "哇 哈哈 嘿嘿 哇塞 天哪 啊啊啊 嗯嗯 爱了",
    "gasp-": "唉 哎 晕 无语 服了 呵呵 我去 天哪 额 醉了 啊啊啊 我真是服了 气死了",
    # Whole reviews of a word or two.
    "shout+": """好{eat} 很好{eat} 不错 挺好 好评 满意 美味 喜欢 推荐 好好{eat} 超赞 给力 完美 可以
        可以的 棒棒哒 很快 超快 nice 真香 绝了 爱了 够辣 很棒 值了 五星 5星 速度快 味道好 不难{eat}
        没毛病 还会来 分量足 很实惠 老味道 good 挺香 真不错 yyds 点赞 不赖 {eat}撑了 好香 666 没话说
        好{eat}不贵 又快又好 一如既往的好 一直点 赞赞赞 好好好 好[好|好好]吃 好{eat}好{eat} 不错不错
        可以可以 ok 很ok 妥妥的 快快快 量大 [又|还]便宜 味道可以 还不错 热乎 巴适 够味 棒 没失望 稳
        不慢 不贵 挺快 好{eat}哭了 没得挑 nice啊 很满意 {dish}好{eat} {dish}不错
        {dish}[赞|绝了|可以|挺香] [超|巨|真]好{eat} [特别|非常|相当][好|满意|不错] [必|强]推""",
    "shout-": """难{eat} 很差 一般 太慢 太贵 差评 凉了 不好{eat} 垃圾 恶心 失望 很慢 太咸 太油 坑 后悔
        就那样 不行 洒了 没味 送错了 太少 不值 慢死了 什么玩意 呵呵 无语 {eat}吐了 不推荐 有头发 馊了
        没{eat}饱 拉肚子 踩雷 坑人 太淡 太甜 没熟 夹生 凑合 一般般 不咋地 不新鲜 量太少 再见 不会再点
        慢慢慢 不怎么样 没送到 超时 少了 糊了 不满意 太慢太慢太慢 差差差 难{eat}难{eat}难{eat} 一般一般
        不ok 不好 很不好 不太行 没有下次 好难{eat} 不快 1星 一星 diss 真不行 好慢 好贵 好咸 好少 好失望
        不可以 算了 没收到 呕 就这？ 好个屁 送这么慢 都坨了 好{eat}？呵呵 {dish}难{eat} {dish}不行
        {dish}[一般|没熟|太咸|凉了|太少] [超|巨|真]难{eat} [特别|非常|相当][差|失望|慢|一般]
        [快|好]吐了 [慎|别]点""",
}  # fmt: skip

SHAPES = {  # the forms of review and their building blocks; every entry is equally likely
    "opening": "{history} {occasion} {occasion}",
    "history": """第[一|二|三|N]次点[这家|他家]了 第[一|二]次在这家[买|点]
        [老顾客了|常客了|吃了好几回了] 点了[不下|快|]十次了 在这家[吃了|点了][半年|一年多|两年]了
        朋友推荐[来|]的 看[评分高|排名靠前|销量高|满减力度大]才点的 [冲着|奔着]{dish}点的
        [早就|一直]想[吃|试]他家的{dish} [路过看店里人挺多|朋友圈看到的]，[回来点了外卖|点了一单]
        领了张券，[试试|尝尝]{dish} [群里都在说这家|抖音刷到|同学都在点]，[跟风|也]点了""",
    "occasion": """{when}[点的|点了|订的]{dish} {when}懒得做饭，点了[一{unit}|他家|]{dish}
        给{who}[点|订]的{dish} {when}{who}说想{eat}{dish}，[就点了这家|就下单了|于是点了|选了这家]
        办公室一起点了[五六|十几|8]{unit} [生病没胃口|感冒了|心情不好|忙了一天]，就想{eat}{dish}
        一个人在家[追剧|看球|带娃]，点了{dish} [搬家没开火|停水了|天太热|家里没菜了]，叫了{dish}
        {when}和{who}一起点的 出差[住酒店|到这边]，随便点了{dish} {when}突然想{eat}{dish}
        孩子[考完试|放假|闹着要]，给点了{dish} {when}点了{dish}和{dish2}""",
    "single+": "{good} {good} {good} {good}，{praise} {joy} {opening}，{good}",
    "single-": "{bad} {bad} {bad} {bad}，{blame} {grief} {opening}，{bad} {bad}，{plea}",
    "several+": """{good}，{good}，{good}，{good} {opening}，{good}，{good}，{good}，{praise}
        {praise}，{good}，{good}，{good}，{joy} {good}，{good}，{good}，{good}，{good}，{praise}
        {good}，{good} {good}，{good} {good}，{good}，{good} {good}，{good}，{praise}
        {good}，{good}，{good}，{praise} {opening}，{good}，{good} {opening}，{good}，{praise}
        {praise}，{good}，{good} {praise}！{good} {good}，{good}，[而且|关键|最重要的是]{good}
        首先{good}，其次{good} {good}，{good}，{joy} {good}，[也|]没什么好挑的，{praise}
        {good}，{say}，{good} 1.{good}，2.{good}，3.{good}""",
    "several-": """{bad}，{bad}，{bad}，{bad} {opening}，{bad}，{bad}，{bad}，{blame}
        {blame}，{bad}，{bad}，{bad}，{grief} {bad}，{bad}，{bad}，{bad}，{bad}，{blame} {bad}，{bad}
        {bad}，{bad} {bad}，{bad}，{bad} {bad}，{bad}，{blame} {bad}，{bad}，{bad}，{blame}
        {opening}，{bad}，{bad} {opening}，{bad}，{blame} {blame}，{bad}，{bad} {blame}！{bad}
        {bad}，{bad}，[而且|关键|最气的是|更过分的是]{bad} 首先{bad}，其次{bad} {bad}，{bad}，{grief}
        {bad}，{bad}，{blame} {bad}，{say}，{bad} 1.{bad}，2.{bad}，3.{bad}""",
    "contrast+": """{good}，[就是|只是|唯一的缺点是|美中不足]{mild} {good}，[就是|只是]{mild}，{praise}
        {good}，{good}，[就是|只是|可惜]{mild} 虽然{mild}，[但|但是|不过]{good}
        虽然{bad}，[但|但是|不过|好在]{good}，{good} 虽然{bad}，[但|但是|不过]{good}，{praise}
        {bad}，[不过|好在|还好|幸好]{good}，{praise} {bad}，[但是|不过]{good}，{good}
        {mild}，[不过|但是|但]{good} 除了{mild}，[其他|别的]都[挺好|没毛病|满意]
        {mild}，{good}，{praise} 本来{bad}，想给差评，[结果|没想到]{good}，{praise}
        {opening}，{bad}，[但|可是]{good}，{joy} {mild}，可是{good}
        {good}，{mild}，[总体|整体][不错|满意|可以|还行] {bad}，不能怪{shop}，{good}
        {bad}，[可|但]架不住{good} 要不是{bad}，[就|]完美了，{good} 别看{mild}，{good}
        {bad}，{shop}[马上|主动][退了款|重做|道歉][了|]，{praise} {noun}差[了点|一点]，[不过|但]{good}
        {bad}，看在{good}的份上，忍了 {joy}，[就是|虽然]{bad}""",
    "contrast-": """{good}，[但是|可是|不过|可惜|无奈]{bad} {good}，[但是|可是|不过|可惜]{bad}，{blame}
        {good}，[就是|只是|偏偏]{bad}，{blame} 虽然{good}，[但|但是|可]{bad}
        虽然{good}，[但|可]{bad}，{blame} 除了{good}，[其他|别的][都不行|没一样行的|一塌糊涂]
        {good}有什么用，{bad} {good}，{good}，[可|但]{bad}，{blame} {bad}，也就{noun}还[行|凑合]
        {bad}，{noun}[再好|好]也没用 {opening}，{good}，[结果|谁知道]{bad}
        {good}，[结果|没想到]{bad}，{grief} {good}不假，[可|但]{bad}
        冲着{noun}好才买的，[结果|没想到]{bad} {noun}[还可以|不错|没问题]，{bad}，{blame}
        {bad}，[虽然|尽管]{good}，还是[差评|不会再点|很失望|不推荐]
        本来{good}，挺高兴的，[结果|可是]{bad} {mild}也就算了，{bad}
        {mild}可以忍，{bad}就[不能忍|过分]了 以前{good}，现在{same-}
        {good}，[全|都]被{noun}毁了，{blame} {shop}[赔了|退了|道了歉]也没用，{bad}""",
    "story+": """{begin+}，{good}，{praise} {begin+}，{joy}，{praise}
        {begin+}，{mild}，{good}，{praise} {history}，{occasion}，{good}，{good}，{end+}
        {history}，{occasion}，{speed+}，{taste+}，{own+}，{price+}，{praise}
        {opening}，{speed+}，[打开|打开一看|拿到]{temp+}，{taste+}，{praise}
        {opening}，[本来|还]担心[不好{eat}|太慢|会洒]，[结果|没想到]{good}，{good}
        {opening}，{speed-}，[以为|想着]要翻车了，[结果|没想到]{temp+}，{taste+}
        {opening}，{speed~}，{rider+}，{taste+}，{praise}
        {opening}，{pack+}，尝了[一口|尝]，{taste+}，{joy}
        {opening}，隔[天|周][又|还]点了一次，{good}，{good}
        {opening}，[先|一开始]送错了，[去问|一问]，{reply+}，{good}
        {opening}，少[送|给]了一样，联系{shop}，[马上补了|退了钱|很快解决]，{good}，{praise}
        上个月[点|]踩过雷，{when}又[试|点]了一次，{good}，{praise}""",
    "story-": """{begin-}，{bad}，{blame} {begin-}，{grief}，{blame} {begin-}，{mild}，{bad}，{blame}
        {history}，{occasion}，{bad}，{bad}，{end-}
        {history}，{occasion}，{speed-}，{taste-}，{own-}，{price-}，{blame}
        {opening}，{speed-}，[打开|打开一看|拿到]{temp-}，{taste-}，{blame}
        {opening}，[本来|还][挺|很]期待[的|]，[结果|没想到]{bad}，{bad}
        {opening}，{speed+}，[高高兴兴|兴冲冲]去拿，{pack-}，{taste-}
        {opening}，{speed-}，{rider-}，{grief}
        {opening}，{pack-}，[将就|还是][{eat}了|尝了]一口，{taste-}，{grief}
        {opening}，隔[天|周][又|还]点了一次，{bad}，{bad} {opening}，{eat}到一半，{find-}，{blame}
        {opening}，送错了，[去问|一问]，{reply-}，{grief}
        {opening}，少[送|给]了一样，联系{shop}，[让我等着|说没少|不理我]，{bad}，{blame}
        之前[一直|]觉得[挺好|不错|好{eat}]，{when}点的，{bad}，{blame}
        {opening}，{speed-}，打电话[问|催]，说[马上到|在路上|楼下了]，又等[了|][半小时|40分钟]，
        {temp-}""",
    "request+": """{good}，{wish} {good}，{good}，{wish} {wish}，{good} {praise}，{wish}
        {good}，{mild}，{wish} {opening}，{good}，{wish} {joy}，{wish}
        {mild}，{wish}，[总体|别的]都[挺好|满意|不错]""",
    "request-": """{bad}，{plea} {bad}，{bad}，{plea} {plea}，{bad} {plea}，{blame}
        {good}，{bad}，{plea} {opening}，{bad}，{plea} {bad}，{plea}，{blame} {bad}，{grief}，{plea}
        {mild}，[说过好几次了|反映过多次]，{plea}""",
    "compare+": """比上次[好{eat}|快|量足|靠谱|用心][多了|不少|太多]
        上次[太咸|送错|慢死了|洒了一袋|不好{eat}|失望]，这次[好多了|总算靠谱|没让我失望|改进很大]
        比[隔壁|楼下|别家|之前点的那家][强|好{eat}|实惠|快][多了|不少|太多] 越来越好[{eat}|]了
        没有比这更好{eat}的{dish}了，{praise} [吃了三年|点了几十次]，{noun}一直没变，{praise}
        [隔壁|楼下|别家][没法比|差远了]，{good} 这次比上次[分量大|快了半小时|用心]，{good}
        [上次|前几次]{bad}，这次[好多了|没问题|终于正常]，{good} 上次{bad}，这次{same+}
        没有[越做越差|越来越少]，{good} 点过[那么多|好几]家，还是[这家|他家]{much}[好|靠谱]
        以前[一般|差点意思]，最近[好{eat}了|进步了]，{good} {noun}比[上次|以前|别家]好，{praise}
        [以前点的|别家]{bad}，[他家|这家]{same+} 换了[新老板|厨师]以后[好{eat}|好]多了，{good}""",
    "compare-": """没[有|]上次[好{eat}|快|量足|靠谱|用心]
        上次[很好{eat}|很快|挺好|一大{unit}|满意]，这次[差远了|完全不行|像换了厨师|让我失望]
        不如[隔壁|楼下|别家|之前点的那家][强|好{eat}|实惠|快] 比上次[差|慢|少|难{eat}][多了|不少|太多]
        [隔壁|楼下|别家]比[这家|他家][强|好{eat}|实惠|快][多了|不少|太多]
        越来越[差|敷衍|少|难{eat}|贵]了 不是以前那个味了
        刚开业[的时候|那会儿]{noun}多好[啊|]，现在{bad} 一次不如一次
        [上次|前几次]{good}，这次[差远了|不行了|没法说] 上次{good}，这次{same-}
        没有[越做越好|进步]，{bad} 点过[那么多|好几]家，就[这家|他家]{much}[差|不靠谱]
        以前[好{eat}|还不错]，最近[不行了|退步了]，{bad} {noun}没[有|][上次|以前|别家]好，{blame}
        [以前点的|别家]{good}，[他家|这家]{same-} 换了[新老板|厨师]以后[差|难{eat}]多了""",
    "ask+": """老板[这酱哪买的|怎么做的这么香|什么时候开分店|能不能开到城东|明天还营业吗]？{good}
        怎么会有这么好{eat}的{dish}？ 还有谁没{eat}过{dish}？{good}
        [有没有人|有谁]跟我一样[连点三天|天天点]的？{good} {shop}[放了什么|是不是加了秘方]？{taste+}
        为什么[这么|那么]好{eat}？ 请问[辣椒油|酱料][单卖吗|卖不卖]？{good}
        这么好{eat}为什么[评分不高|才知道]？ 谁说[难{eat}|送得慢]的？{good}""",
    "ask-": """[请问|老板][这{dish}放了几天了|我的备注你看了吗|说好的{gift}呢]？{bad}
        {shop}[自己{eat}过吗|换厨师了吗|良心不痛吗]？{bad} 这也叫{dish}？ {yuan}就卖这个？{bad}
        {rider}是走路来的吗？{speed-} 我点的是{dish}，怎么送来{dish2}？{blame} [筷子|{gift}|我的饭]呢？
        为什么[每次都|总是]{bad}？ [这么|那么]多好评[哪来的|怎么来的|是真的吗]？{bad}
        就不能{noun}[好点|上点心]？{bad} {wait}是去种菜了吗？ 好{eat}在哪？{bad} 谁说好{eat}的？{bad}
        有人跟我一样{eat}完[肚子疼|拉肚子]的吗？{blame}""",
    "echo+": """看[评论|差评|有人]说[难{eat}|慢|分量少|不卫生|不值]，[其实|我觉得|点了发现]{good}
        [楼上|前面]给差评的[是同行|嘴太刁|太挑剔了]吧，{good} 不明白为什么有人给差评，{good}
        大家都说[好{eat}|不错]，[果然|确实]{good} 差评吓得我不敢点，[结果|其实]{good}
        评论[两极分化|有好有坏]，我[这次|这单]{good} 不是托，{good} 没收钱，{good}
        从来不写评价，{good}，必须写 [被|让][差评|评论]骗了，[明明|其实]{good} 同意楼上，{good}，{good}
        之前刷到说{bad}，我这份{same+} 第一次[写|给]评价，因为{good}
        {who}说{bad}，[我觉得|我倒觉得]{same+} 有人说{bad}，我没遇到，{good}
        追评，[隔天|第二天]又点了，{good}""",
    "echo-": """看[评论|好评|有人]说[好{eat}|快|量大|卫生|实惠]，[其实|我觉得|点了发现]{bad}
        [楼上|前面]给好评的[是托|没味觉|是自己人]吧，{bad} 不明白为什么有人给好评，{bad}
        大家都说[好{eat}|不错]，[可是|结果]{bad} 冲着好评点的，[结果|其实]{bad}
        评论[两极分化|有好有坏]，我[这次|这单]{bad} 不是同行，{bad} 从来不给差评，{bad}，必须写
        [被|让][好评|评论]骗了，[明明|其实]{bad} 同意楼上，{bad}，{bad} 之前刷到说{good}，我这份{same-}
        第一次[写|给]差评，因为{bad} {who}说{good}，[我觉得|我倒觉得]{same-}
        有人说{good}，我没遇到，{bad} 追评，[隔天|第二天]才想起来写，{bad}
        好评是[返现|系统默认]的，其实{bad}""",
    "hedge+": """还行[吧|] 还可以[吧|啦|] 还不错[吧|] 过得去 {dish}还行 {noun}还[行|可以|不错]
        {noun}还[行|可以]，{noun}也[还行|可以|凑合] 还行吧，{mild} 还可以，{mild} {mild}，还[行|可以]吧
        还行，{good} {noun}可以，{mild} 比[预期|想象]的好[一点|] 中规中矩，[没什么可挑|可以接受]
        勉强给个好评，{mild} 说不上多惊艳，[但|不过]{good} 没有特别好，也[挑不出毛病|不差]，{good}
        {mild}，能接受 一般般的店里算[好|不错]的 {noun}一般，{good} 总体还[行|可以|不错]，{mild}
        {opening}，还[行|可以|不错]吧 {opening}，{mild}，[总体|别的]还可以 不算差，{good}
        谈不上[多|]好{eat}，[但|]{good}，[还会|会再]点 凑合，[没想到|不过]{good}
        味道[还行|可以]，不会[踩雷|出错] {good}吧，{mild}吧 {noun}没得说，{noun}一般""",
    "hedge-": """一般[般|吧] 就那样[吧|] 凑合[吃吧|吧] 将就 不怎么样 {dish}一般般 {noun}一般[般|]
        {noun}一般，{noun}也[一般|就那样|凑合] 一般吧，{mild} 就那样，{mild} {mild}，一般吧 一般，{bad}
        {noun}凑合，{mild} 没[有|][预期|想象]的好 平平无奇，[没什么可夸|不会再点] 勉强能{eat}，{mild}
        说不上多差，[但|不过]{bad} 没有特别差，也[没什么亮点|不好]，{mild}
        {mild}，[没有再点的欲望|可点可不点] 也就那么回事 {noun}还行，{bad}
        总体[一般|平平|马马虎虎]，{mild} {opening}，一般[吧|般] {opening}，{mild}，[总体|别的]也一般
        不算好，{mild} 谈不上多[差|难{eat}]，[但|]{mild}，不会再点 凑合，{mild}
        味道[凑合|马马虎虎]，不会再[点|买] 能{eat}而已，{mild} {noun}没得说，可惜{bad}
        还行吧，[但|]不会再点[了|] {good}吧，可[也就那样|不会再点]，{mild}""",
    "irony-": """真是[太好了|谢谢了|厉害了]，{bad} [恭喜|感谢]{shop}，[帮我减肥成功|让我省了一顿饭]
        [五星级|米其林|大饭店]的价格，[食堂|路边摊]的味道
        这速度，[蜗牛看了都点赞|再晚点就能当夜宵了|绝了] 好评！[给|为]我的忍耐力，{bad}
        送得真“快”，{wait} [头发|虫子]免费送的，加料不加钱，[良心|真良心]
        [厉害|可以]，{yuan}买了[一{unit}空气|个盒子] 太“好{eat}”了，{grief} 不愧是[网红|人气]店，{bad}
        {wait}送到，[好快呀|感动哭了|给跪了]
        求求{shop}[开个培训班吧|教教我]，怎么能把{dish}做得这么难{eat} 完美，{bad}，{bad}，一样不落
        [谢谢啊|谢谢老板]，{bad}，又学到了""",
    "stars+": """味道[5|4]星，[速度|包装][5|4]星，服务[5|4]星 味道[5|9]分，速度[3|4|5]分，[推荐|还会点]
        口味满分，[配送|包装][三|四|3]星 5星，{good} 五颗星，{good}，{mild} 打[4.5|4|9]分，{mild}
        四星半，{good}，扣半星因为{mild} {noun}五星，{noun}五星，{noun}[四|五]星 {noun}👍{noun}👍""",
    "stars-": """味道[2|1|3]星，[速度|包装][1|2]星，服务[1|3]星
        味道[1|2|3]分，速度[4|5]分，[不推荐|不会再点] [配送|包装]满分，口味[一|两|1]星 1星，{bad}
        一颗星，{bad}，{good} 打[2|1|3]分，{bad} 给五星怕你骄傲，{bad}
        {noun}五星，{noun}一星，{noun}一星 {noun}👎{noun}👎 五星是手滑，{bad} 三星，{mild}，{mild}""",
    "hint+": """{joy} {joy}，{praise} {joy}，{good} {good}，{joy}，{praise} {opening}，{joy}
        {joy}，{good} {good}，{joy} {mild}，[但|不过]{joy} {bad}，[但|可]{joy}""",
    "hint-": """{grief} {grief}，{blame} {grief}，{bad} {bad}，{grief}，{blame} {opening}，{grief}
        {grief}，{bad} {bad}，{grief} {good}，[但|可]{grief} {mild}，{grief}""",
    "long+": "{begin+}，{middle+}，{end+} {begin+}，{middle+}，{good}，{middle+}，{end+}",
    "begin+": """{history}，{occasion}，{speed+}，{rider+}，[先说包装|外面看|拎出来一看]，{pack+}，{temp+}
        {occasion}，[说说我的感受吧|随便写两句|写个长评]，[之前在别家点过|上次在别家点]，{speed-}，
        [所以这次没抱希望|这回换了一家]，[没想到|结果]{good}，{good}
        {opening}，{bad}，[当时真的很生气|火一下就上来了|气得想退单]，[打电话给|去问]{shop}，
        [没想到|本来以为会推脱，结果]{reply+}，[谁都有忙不过来的时候|人家不是故意的]，
        [关键看态度|也就不气了]
        {opening}，{speed~}，{rider+}，{pack~}，[本来有点不高兴|心想这次悬了|有点担心]，
        {eat}上就[不气了|香了|觉得值]，{good}
        [点之前|下单前]翻了[半天|好久]评论，[好评差评都有|有人说{bad}]，{opening}，{good}，{good}
        {occasion}，[特意备注了|备注写得清清楚楚]，{service+}，{good}
        {history}，[先说缺点|缺点]：{bad}，[再说优点|优点]：{good}，{good}
        {occasion}，{who}[本来不想{eat}|一脸嫌弃]，尝了一口[就停不下来|不说话了，光顾着{eat}]，
        {taste+}，{own+}""",
    "middle+": """[再说味道|说到味道|至于味道|味道嘛]，{taste+}，{taste+}，{own+}，{who}尝了一口，
        [也说不错|直接抢走|眼睛都亮了]，{portion+}，[再看价格|价钱嘛|关键]{price+}
        {own+}，{own+}，{any+}，{not+}，{good}，{who}[也在旁边|刚好也在]，{joy}，有人说{mild}，
        [我觉得还好|我无所谓]，毕竟{price+} {good}，{own+}，{any+}，{good}，{not+}，{joy}
        {good}，{taste+}，{good}，[要说不足也有|硬要挑刺]，{mild}，{mild}，不过{good}，{own+}，{not+}
        [{dish2}也点了|还加了一{unit}{dish2}|另点了{dish2}]，{own+}，{own+}，{dish}[更不用说|更好]，
        {any+}，{not+}，{good}，{joy}""",
    "end+": """[缺点也有|小毛病]，{mild}，不过{service+}，{joy}，{wish}，{praise}
        [总之|总的来说]{good}，{praise}，{wish} {joy}，{joy}，{mild}，{praise}，{wish}
        [写这么多字不容易|字数够了吧|就说这么多]，{praise}，{wish} {mild}，但{good}，{good}，{praise}
        {wish}，{praise} {service+}，{price+}，{praise}""",
    "long-": "{begin-}，{middle-}，{end-} {begin-}，{middle-}，{bad}，{middle-}，{end-}",
    "begin-": """{history}，{occasion}，{speed-}，[打电话给|联系]{rider}，{rider-}，
        [好不容易拿到了|终于拿到手|总算来了]，{pack-}，{temp-}
        {occasion}，[说说我的感受吧|随便写两句|写个长评]，[之前在这家点过|上次点]，{good}，{good}，
        [所以这次又来了|就放心下单了]，[没想到|结果]{bad}，{bad}
        {opening}，{good}，[当时真的挺高兴|本来心情不错|还跟{who}夸呢]，
        [{eat}到一半|快{eat}完的时候|刚{eat}两口]，{find-}，[整个人都不好了|立马没胃口了|差点吐出来]，
        [当场|马上|拍了照]去问，{reply-}
        {opening}，{speed~}，{rider+}，{pack~}，[这些都能理解|这都没什么|都忍了]，[但是|可是]{bad}，
        {bad} [点之前|下单前]翻了[半天|好久]评论，[好评差评都有|都说{good}]，{opening}，{bad}，{bad}
        {occasion}，[特意备注了|备注写得清清楚楚]，{service-}，{bad}
        {history}，[先说优点|优点]：{good}，[再说缺点|缺点]：{bad}，{bad}
        {occasion}，{who}{eat}了一口[就放下了|看了我一眼]，[我还不信|我不信邪|轮到我]，{taste-}，
        {own-}""",
    "middle-": """[饿得不行还是尝了尝|不想浪费|硬着头皮{eat}]，{taste-}，{own-}，{any-}，{portion-}，
        [就这还|再看价格|关键]{price-}
        {own-}，{own-}，{any-}，{not-}，{bad}，{who}[也在旁边|刚好也在]，{grief}，有人说{good}，
        [反正我没遇到|我是没看出来] [去反映|联系{shop}|打了电话]，{reply-}，[我说要投诉|说了两句]，
        对方[说随便|直接挂了|说你去吧]，{bad}，{own-}，{not-}，
        [做生意哪有这样的|没见过这样的|真长见识]
        {bad}，{taste-}，{bad}，[要说优点也有|也不是没优点]，{good}，可是{bad}，{own-}，{not-}
        [{dish2}也点了|还加了一{unit}{dish2}|另点了{dish2}]，{own-}，{own-}，{dish}[更不用说|更差]，
        {any-}，{not-}，{bad}，{grief}""",
    "end-": """{mild}都能忍，[这个忍不了|这个真不行]，{blame}，{plea}
        {grief}，{plea}，[真的很无奈|心累]，{blame}
        [不知道是换了厨师还是根本不上心|到底怎么回事]，{plea}，{blame}
        [写这么多字不容易|字数够了吧|就说这么多]，{plea}，{blame} {good}，但{bad}，{bad}，{blame}
        {plea}，{blame} {service-}，{price-}，{blame}""",
}  # fmt: skip

# How people type.
STYLES = {  # name: (weight, marks for a break, marks between sentences, marks for the end)
    "proper": (46, "，", "，。。！", "。。！"),
    "half": (15, ",", ",.!", ".!"),
    "blank": (14, " ", " ", " "),
    "bare": (6, "", "", " "),
    "wavy": (5, "~，", "~", "~"),
    "dots": (5, "。，", "。…", "…。"),
    "mixed": (9, "，, ", "。. ！", "。.！!"),
}
SLIPS = """在/再 再/在 的/得 得/的 送餐/送歺 味道/味到 但是/但事 外卖/外买 应该/因该 服务/服物
    真的/真滴 好吃/好次 好吃/好恰 没有/木有 分量/份量 态度/太度 包装/包庄 骑手/其手
    第一次/第一此 已经/以经 打电话/打电活 不错/不戳 很/狠 喜欢/稀饭 米饭/米反 推荐/推见
    以后/已后 一般/一班 难吃/南吃 差评/差平 希望/西望 什么/神马 小时/小是 商家/商加 分钟/分种
    结果/结过 下次/下此 又/有 那么/那末 不过/不果"""
STUTTERS = [r"(?<!不)太(?=[慢贵少咸油差难好])", r"超(?=[好快难])", r"很(?=[好快差慢香])", r"非常"]
EMOJI = {
    1: "😋 👍 👍👍 ❤️ 😄 🥰 💯 ✨ 😂 😭 😍 🙏 (๑•̀ㅂ•́)و✧ ^_^ (￣▽￣) 哈哈 hhh 😅 🌹 [赞]",
    0: "😡 👎 😤 💔 🤮 😭 😅 🙄 😂 🙏 (╯‵□′)╯ T_T orz =_= 哈哈 (´；ω；`) 😓 🤷 [怒] 👍",
}
PARTICLES = "啊啊哦哈诶"
# No full stop follows these openers (or a very short clause) or stands before these links.
OPENERS = "虽然 尽管 除了 首先 第 因为 要不是 看在 本来 冲着 别看 最 1. 2."
LINKS = "但 可 不过 就 只 好在 还好 幸好 结果 没想到 谁知 偏偏 无奈 唯一 美中 还 其 因为 没 也 所以"
NO_PARTICLE_AFTER = '吗吧啊呢呀哦啦哈嘛？！?!。”"）)'

PICK = re.compile(r"\[([^\[\]]*)\]")
SLOT = re.compile(r"\{([^{}]+)\}")


def entries(table: str) -> list[str]:
    """The fragments of a table; a blank after `，` only wraps a long one."""
    return re.sub(r"，\s+", "，", table).split()


class Composer:
    """Composes one review at a time from the grammar."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.tables = {name: entries(text) for name, text in (FRAGMENTS | SHAPES).items()}

    def compose(self, form: str, label: int) -> str:
        """A review of this form, with `，` as its only kind of break."""
        self.kitchen = self.rng.choice(list(KITCHENS.values()))
        dish, dish2 = self.rng.sample(entries(self.kitchen.dishes), 2)
        self.fixed = {"dish": dish, "dish2": dish2}
        self.fixed |= {"unit": self.kitchen.unit, "eat": self.kitchen.eat}
        self.stance: dict[str, str] = {}  # aspect: sign
        self.last = "taste"
        self.used: set[str] = set()
        return self.expand("{" + form + "+-"[1 - label] + "}")

    def expand(self, pattern: str) -> str:
        """The pattern with every choice made and every slot filled."""
        while match := PICK.search(pattern):
            branch = self.rng.choice(match[1].split("|"))
            pattern = pattern[: match.start()] + branch + pattern[match.end() :]
        return SLOT.sub(lambda match: self.fill(match[1]), pattern)

    def fill(self, slot: str) -> str:
        """Words for one slot; a judgement is remembered in `stance`."""
        if slot in self.fixed:
            return self.fixed[slot]
        if slot == "noun":
            noun = self.rng.choice([n for n in NOUNS if NOUNS[n] not in self.stance] or list(NOUNS))
            self.stance[NOUNS[noun]] = "~"
            return noun
        if slot in POLARITY:
            slot = self.unjudged(POLARITY[slot])
        elif slot in ("same+", "same-"):
            slot = self.last + slot[-1]
        aspect, sign = slot[:-1], slot[-1]
        if aspect in ASPECTS:
            self.last = aspect
            self.stance[aspect] = sign
        if aspect == "own":
            fragments = entries(self.kitchen.good if sign == "+" else self.kitchen.bad)
        else:
            fragments = self.tables.get(f"{self.kitchen.kind}.{slot}") or self.tables[slot]
        return self.expand(self.fresh(fragments, even=slot in SHAPES))

    def unjudged(self, sign: str) -> str:
        """An aspect not judged so far, or else one that was judged the same way."""
        open_ = [a for a in ASPECTS if a not in self.stance and a + sign in self.tables]
        names = open_ or [a for a, stance in self.stance.items() if stance == sign] or ["taste"]
        return self.rng.choices(names, [ASPECTS[name] for name in names])[0] + sign

    def fresh(self, fragments: list[str], even: bool) -> str:
        """A fragment that this review has not used, if there is one."""
        unused = [f for f in fragments if f not in self.used] or fragments
        weights = [1 if even else 1 / (rank + 1) for rank in range(len(unused))]
        fragment = self.rng.choices(unused, weights)[0]
        if "{" not in fragment or "，" in fragment or len(fragment) > 6:
            self.used.add(fragment)
        return fragment


def type_out(text: str, label: int, rng: random.Random) -> str:
    """The composed text as one customer types it: asides, slips, punctuation, emoji."""
    if len(text) > 5 and rng.random() < 0.10:
        gasps = FRAGMENTS["gasp+" if label else "gasp-"].split()
        text = rng.choice(gasps + FRAGMENTS["say"].split()) + "，" + text
    if rng.random() < 0.10:
        text = re.sub(rng.choice(STUTTERS), lambda m: m[0] * rng.randint(2, 3), text, count=1)
    if len(text) > 5 and rng.random() < 0.12:
        slips = [slip.split("/") for slip in SLIPS.split()]
        if fitting := [(right, wrong) for right, wrong in slips if right in text]:
            text = text.replace(*rng.choice(fitting), 1)
    if text[-1] not in NO_PARTICLE_AFTER and rng.random() < 0.10:
        text += rng.choice(PARTICLES)
    text = punctuate(text, rng)
    if rng.random() < 0.09:
        emoji = rng.choice(EMOJI[label].split())
        text += emoji * (rng.choice([1, 1, 2, 3]) if len(emoji) == 1 else 1)
    if rng.random() < 0.008:
        text = "  " + text
    return text


def punctuate(text: str, rng: random.Random) -> str:
    """The text with one writer's marks in place of `，`, and perhaps one at the end."""
    openers, links = tuple(OPENERS.split()), tuple(LINKS.split())
    clauses = text.split("，")
    names = [name for name in STYLES if name != "bare" or len(clauses) < 4]
    style = rng.choices(names, [STYLES[name][0] for name in names])[0]
    _, breaks, stops, ends = STYLES[style]
    typed = clauses[0]
    for before, after in pairwise(clauses):
        closed = len(before) > 4 and not before.startswith(openers) and not after.startswith(links)
        marks = stops if closed and rng.random() < 0.3 else breaks
        typed += (rng.choice(marks) if marks and before[-1] not in "？！" else "") + after
    if rng.random() < 0.5 and typed[-1] not in "？！":
        typed += rng.choice(ends)
    if style == "half":
        typed = typed.replace("？", "?").replace("！", "!")
    return typed.rstrip()


def compose_rows() -> list[tuple[int, str]]:
    """All rows with their true labels, in random order."""
    rng = random.Random(SEED)
    composer = Composer(rng)
    rows: list[tuple[int, str]] = []
    seen: set[str] = set()
    repeats = 0
    while len(rows) < ROWS:
        label = int(len(rows) < ROWS * POSITIVE_SHARE)
        weights = [pair[1 - label] for pair in FORMS.values()]
        form = rng.choices(list(FORMS), weights)[0]
        text = type_out(composer.compose(form, label), label, rng)
        if not SHORTEST <= len(text) <= LONGEST:
            continue
        if text in seen:
            if len(text) > 3 or repeats == SHORT_REPEATS:
                continue
            repeats += 1
        seen.add(text)
        rows.append((label, text))
    rng.shuffle(rows)
    return rows


def flip_labels(rows: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """The same rows with FLIP_RATE of the labels turned around."""
    flipped = set(random.Random(SEED + 1).sample(range(len(rows)), round(len(rows) * FLIP_RATE)))
    return [(1 - label if i in flipped else label, text) for i, (label, text) in enumerate(rows)]


def main() -> None:
    """Write the file next to this script."""
    with OUTPUT.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["label", "review"])
        writer.writerows(flip_labels(compose_rows()))


if __name__ == "__main__":
    main()

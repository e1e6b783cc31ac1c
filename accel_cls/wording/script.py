"""Simplified and traditional Chinese characters: the frequent ones whose counterpart is nearly always the same.

A few words decide about characters with several counterparts; other such characters stay as they are, as do rare ones.
"""

from __future__ import annotations

import re

_CHARACTERS = """
洒灑 远遠 葱蔥 俩倆 卤滷 却卻 宫宮 凑湊 馍饃 并並 馅餡 怜憐 卫衛 谱譜 锡錫 焖燜 晕暈 烫燙 虫蟲 馊餿 荤葷 笋筍
赠贈 懒懶 腾騰 飘飄 鱿魷 乱亂 帅帥 团團 诺諾 蜗蝸 转轉 柠檸 萨薩 尝嘗 们們 来來 时時 个個 这這 对對 国國 说說
会會 为為 过過 学學 动動 么麼 经經 样樣 现現 开開 还還 进進 实實 业業 当當 两兩 间間 从從 关關 点點 长長 问問
无無 与與 应應 书書 头頭 门門 见見 电電 东東 话話 给給 车車 条條 听聽 写寫 买買 卖賣 钱錢 贵貴 价價 块塊 员員
务務 态態 饭飯 汤湯 鸡雞 鸭鴨 鱼魚 虾蝦 贝貝 饼餅 饺餃 馆館 馒饅 酱醬 盐鹽 咸鹹 凉涼 热熱 烧燒 炖燉 烂爛 软軟
紧緊 满滿 赞讚 谢謝 请請 让讓 认認 识識 讲講 读讀 课課 谈談 论論 设設 计計 记記 议議 评評 语語 误誤 诉訴 试試
详詳 该該 谁誰 调調 证證 护護 报報 换換 拥擁 择擇 担擔 挂掛 损損 摇搖 摆擺 扰擾 抢搶 扩擴 扫掃 执執 爱愛 欢歡
观觀 难難 鸣鳴 鸟鳥 马馬 驾駕 骑騎 验驗 险險 阳陽 阴陰 陆陸 队隊 际際 随隨 隐隱 阶階 阵陣 陈陳 双雙 变變 号號
叶葉 吗嗎 响響 哑啞 唤喚 喷噴 园園 围圍 图圖 圆圓 场場 坏壞 坚堅 垫墊 处處 备備 壮壯 声聲 壳殼 够夠 夹夾 夺奪
奋奮 奖獎 妆妝 妇婦 妈媽 娱娛 孙孫 宁寧 宝寶 宠寵 审審 宪憲 宽寬 宾賓 寻尋 导導 将將 尔爾 尘塵 层層 属屬 岁歲
岛島 币幣 师師 帐帳 帮幫 带帶 广廣 庆慶 库庫 庙廟 废廢 异異 弃棄 张張 弹彈 强強 归歸 录錄 彻徹 径徑 忆憶 忧憂
怀懷 总總 恋戀 恶惡 恼惱 悦悅 惊驚 惯慣 愿願 战戰 户戶 扑撲 扬揚 抚撫 抛拋 拟擬 拣揀 挡擋 挤擠 挥揮 捡撿 据據
掷擲 摄攝 敌敵 数數 斗鬥 断斷 旧舊 显顯 晓曉 暂暫 术術 机機 杀殺 杂雜 权權 极極 构構 枪槍 标標 栏欄 树樹 档檔
桥橋 检檢 楼樓 欧歐 毁毀 毕畢 气氣 汇匯 汉漢 沟溝 没沒 泪淚 洁潔 测測 济濟 浅淺 浆漿 浇澆 浓濃 涂塗 润潤 涨漲
渐漸 渔漁 湿濕 温溫 湾灣 溃潰 滚滾 滞滯 滤濾 潜潛 灭滅 灯燈 灵靈 灾災 炼煉 烟煙 烦煩 爷爺 牵牽 状狀 独獨 狭狹
猎獵 猪豬 猫貓 献獻 环環 玛瑪 畅暢 疗療 疯瘋 盖蓋 盘盤 监監 矿礦 码碼 砖磚 础礎 确確 碍礙 礼禮 祸禍 离離 种種
积積 称稱 稳穩 穷窮 窃竊 竞競 笔筆 签簽 简簡 篮籃 类類 粮糧 粪糞 纠糾 红紅 约約 级級 纪紀 纯純 纲綱 纳納 纷紛
纸紙 纹紋 纽紐 线線 练練 组組 细細 织織 终終 绍紹 结結 绕繞 绘繪 络絡 绝絕 统統 继繼 绩績 续續 绿綠 维維 综綜
编編 缘緣 缩縮 网網 罗羅 罚罰 职職 联聯 聪聰 肃肅 肠腸 肤膚 肿腫 胀脹 胁脅 脏髒 脑腦 脚腳 脱脫 脸臉 腊臘 腻膩
舰艦 艺藝 节節 芦蘆 苹蘋 范範 茧繭 荐薦 药藥 获獲 萝蘿 营營 蓝藍 虑慮 虽雖 蛮蠻 蜡蠟 补補 装裝 袜襪 视視 览覽
觉覺 规規 触觸 订訂 训訓 许許 访訪 诊診 词詞 译譯 诗詩 诚誠 询詢 负負 财財 责責 败敗 货貨 质質 购購 贫貧 费費
贴貼 贸貿 资資 赏賞 赔賠 赖賴 赚賺 赛賽 赶趕 趋趨 跃躍 践踐 踪蹤 轮輪 轻輕 载載 较較 辆輛 辈輩 输輸 辑輯 边邊
达達 迁遷 迈邁 运運 违違 连連 迟遲 适適 选選 递遞 逻邏 遗遺 邮郵 邻鄰 郑鄭 酿釀 释釋 针針 钉釘 钟鐘 钢鋼 钥鑰
钩鉤 铁鐵 铃鈴 银銀 铺鋪 链鏈 销銷 锁鎖 锅鍋 错錯 键鍵 镇鎮 镜鏡 闪閃 闭閉 闲閒 闷悶 闹鬧 闻聞 阅閱 阔闊 韩韓
页頁 顶頂 项項 顺順 须須 顾顧 顿頓 预預 领領 频頻 颗顆 题題 颜顏 额額 风風 飞飛 饮飲 饰飾 饱飽 饿餓 驱驅 驶駛
驻駐 骂罵 骗騙 鲜鮮 鸿鴻 麦麥 黄黃 齐齊 齿齒 龙龍 龄齡 龟龜 势勢 劳勞 劲勁 励勵 办辦 协協 单單 华華 厂廠 厅廳
历歷 压壓 厨廚 县縣 参參 叹嘆 后後 里裡 发發 几幾 伤傷 伟偉 传傳 众眾 优優 体體 余餘 侧側 侦偵 债債 倾傾 偿償
储儲 儿兒 兰蘭 兴興 养養 兽獸 内內 册冊 军軍 农農 决決 况況 冻凍 净淨 减減 凤鳳 击擊 刘劉 则則 刚剛 创創 别別
剂劑 剧劇 区區 医醫 亚亞 产產 亲親 亿億 仅僅 仓倉 仪儀 丰豐 临臨 丽麗 举舉 义義 乌烏 乐樂 习習 乡鄉 争爭 于於
亏虧 云雲 万萬 专專 丝絲 严嚴 丧喪
"""
# Words whose characters have another counterpart elsewhere, or are also characters of their own.
_WORDS = """
老板老闆 恶心噁心 赞助贊助 赞成贊成 干嘛幹嘛 面条麵條 面包麵包 面粉麵粉 拉面拉麵 炒面炒麵 汤面湯麵 米面米麵
牛肉面牛肉麵 方便面方便麵 拌面拌麵 吃面吃麵 皇后皇后 公里公里 英里英里 头发頭髮 理发理髮 干净乾淨 饼干餅乾
干燥乾燥 干脆乾脆 准时準時 准备準備 标准標準 准确準確 系统系統 关系關係 联系聯繫 轻松輕鬆 复杂複雜 重复重複
回复回覆 恢复恢復 制作製作 台风颱風 一只一隻 茶几茶几 划算划算 计划計劃 打折打折 人云亦云人云亦云 只有只有
"""


def _pairs(table: str) -> dict[str, str]:
    """Simplified to traditional: each entry is the one and then the other, equally long."""
    return {entry[: len(entry) // 2]: entry[len(entry) // 2 :] for entry in table.split()}


_TRADITIONAL = _pairs(_WORDS) | _pairs(_CHARACTERS)
_SIMPLIFIED = {new: old for old, new in _TRADITIONAL.items() if new not in _TRADITIONAL}


def _pattern(table: dict[str, str]) -> re.Pattern[str]:
    return re.compile("|".join(sorted(map(re.escape, table), key=len, reverse=True)))


_IS_SIMPLIFIED, _IS_TRADITIONAL = _pattern(_TRADITIONAL), _pattern(_SIMPLIFIED)


def other_script(text: str) -> str:
    """A simplified text in traditional characters; one that has more traditional ones in simplified ones."""
    to_traditional = _IS_SIMPLIFIED.sub(lambda found: _TRADITIONAL[found[0]], text)
    to_simplified = _IS_TRADITIONAL.sub(lambda found: _SIMPLIFIED[found[0]], text)
    return to_traditional if _differences(text, to_traditional) >= _differences(text, to_simplified) else to_simplified


def _differences(one: str, other: str) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))

"""What synthetic values are made of: names that nobody bears, numbers that nobody can be given."""

from __future__ import annotations

# Words for "imaginary", "anonymous" and the like, which are no family names.
FAMILY_NAMES = (
    *("仮想", "匿名", "代用", "練習", "雛形", "標本", "空想", "虚構"),
    *("無名", "設例", "演習", "複製", "擬似", "代替", "記号", "仮設"),
)
GIVEN_NAMES = (
    *("一郎", "二郎", "三郎", "四郎", "五郎", "太郎", "健太", "大輔"),
    *("翔太", "直樹", "拓也", "和也", "達也", "誠", "学", "茂"),
    *("花子", "幸子", "和子", "洋子", "恵子", "京子", "明美", "美咲"),
    *("陽子", "直美", "真由", "彩", "葵", "凛", "結衣", "桜"),
)
# After 090, 080 and 070 Japan's numbering plan never has a 0.
PHONE_PREFIX = "090-0"
# RFC 2606 reserves the domain.
EMAIL_DOMAIN = "example.com"

PREFECTURES = (
    *("北海道", "青森県", "岩手県", "宮城県", "秋田県", "山形県", "福島県", "茨城県"),
    *("栃木県", "群馬県", "埼玉県", "千葉県", "東京都", "神奈川県", "新潟県", "富山県"),
    *("石川県", "福井県", "山梨県", "長野県", "岐阜県", "静岡県", "愛知県", "三重県"),
    *("滋賀県", "京都府", "大阪府", "兵庫県", "奈良県", "和歌山県", "鳥取県", "島根県"),
    *("岡山県", "広島県", "山口県", "徳島県", "香川県", "愛媛県", "高知県", "福岡県"),
    *("佐賀県", "長崎県", "熊本県", "大分県", "宮崎県", "鹿児島県", "沖縄県"),
)

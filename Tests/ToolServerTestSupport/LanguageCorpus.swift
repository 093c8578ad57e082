/// Documents of a company in eight languages, and questions about them in other words than theirs.
package enum LanguageCorpus {
    /// A document with its passages.
    package struct Document {
        /// The title.
        package let title: String
        /// The passages of the body.
        package let passages: [String]
    }

    /// A question and the beginning of the passage that answers it.
    package struct Question {
        /// The language's code.
        package let language: String
        /// The question.
        package let text: String
        /// The beginning of the passage.
        package let answer: String
    }

    /// The documents, one or more in each language.
    package static let documents: [Document] = [
        Document(
            title: "Holiday Policy",
            passages: [
                "Every employee has 28 days of paid leave a year.", "Requests go to the team lead two weeks before.",
                "Leave that is left over may be taken until the end of March.",
            ]),
        Document(
            title: "Passwords",
            passages: [
                "A password has at least fourteen characters.", "Who forgets theirs asks the help desk for a new one.",
                "The VPN asks for a second factor on the phone.",
            ]),
        Document(
            title: "Urlaubsregelung",
            passages: [
                "Alle Beschäftigten haben jährlich 28 Urlaubstage.",
                "Anträge gehen zwei Wochen vorher an die Teamleitung.",
                "Resturlaub verfällt Ende März.",
            ]),
        Document(
            title: "Reisekosten",
            passages: [
                "Reisekostenabrechnungen sind binnen dreißig Tagen einzureichen.",
                "Für Bahnfahrten wird die zweite Klasse erstattet.", "Hotelübernachtungen kosten höchstens 120 Euro.",
            ]),
        Document(
            title: "Congés payés",
            passages: [
                "Chaque salarié a droit à 28 jours de congés par an.",
                "La demande est adressée au responsable d’équipe.",
                "Le télétravail est possible trois jours par semaine.",
            ]),
        Document(
            title: "Sauvegardes",
            passages: [
                "Les sauvegardes sont effectuées chaque nuit à deux heures.",
                "Les données supprimées sont récupérables pendant quatre-vingt-dix jours.",
                "Les bandes sont conservées dans un coffre à Genève.",
            ]),
        Document(
            title: "Отпуск",
            passages: [
                "Каждый сотрудник имеет 28 дней оплачиваемого отпуска в год.",
                "Заявление подаётся руководителю за две недели.", "Неиспользованные дни сгорают в конце марта.",
            ]),
        Document(
            title: "Командировки",
            passages: [
                "Отчёт о командировке сдаётся в течение тридцати дней.",
                "Билеты на поезд оплачиваются по второму классу.",
                "Пароль меняется каждые полгода через службу поддержки.",
            ]),
        Document(
            title: "休假制度",
            passages: [
                "每位员工每年享有28天带薪年假。", "请假申请须提前两周提交给部门主管。", "未使用的年假将于三月底失效。",
                "病假超过三天需要医生证明。",
            ]),
        Document(
            title: "信息安全",
            passages: [
                "密码长度不得少于十四个字符。", "忘记密码时请联系服务台重置。", "远程办公必须通过VPN连接公司网络。",
                "数据备份于每天凌晨两点进行。",
            ]),
        Document(
            title: "差旅报销",
            passages: ["报销单须在出差结束后三十天内提交。", "火车票按二等座标准报销。", "住宿费每晚不超过八百元。", "税"]),
        Document(
            title: "休暇規程",
            passages: [
                "従業員には年間28日の有給休暇が付与されます。", "休暇の申請は二週間前までに上長へ提出してください。",
                "残った休暇は三月末に失効します。", "育児休業は最長二年まで取得できます。",
            ]),
        Document(
            title: "情報セキュリティ",
            passages: [
                "パスワードは十四文字以上にしてください。", "社外から接続するときは必ずVPNを使用します。",
                "バックアップは毎日午前二時に実行されます。", "紛失した端末はヘルプデスクに連絡してください。",
            ]),
        Document(
            title: "経費精算",
            passages: [
                "領収書は出張後三十日以内に提出します。", "新幹線は普通車の料金を支給します。", "宿泊費は一泊一万二千円までです。",
            ]),
        Document(
            title: "휴가 규정",
            passages: [
                "모든 직원은 매년 28일의 유급 휴가를 받습니다.", "휴가 신청은 2주 전에 팀장에게 제출합니다.",
                "남은 휴가는 3월 말에 소멸됩니다.", "병가가 사흘을 넘으면 진단서가 필요합니다.",
            ]),
        Document(
            title: "정보 보안",
            passages: [
                "비밀번호는 열네 자 이상이어야 합니다.", "외부에서 접속할 때는 VPN을 사용합니다.", "백업은 매일 새벽 두 시에 실행됩니다.",
                "분실한 노트북은 헬프데스크에 신고하십시오.",
            ]),
        Document(
            title: "출장비",
            passages: ["영수증은 출장 후 30일 이내에 제출합니다.", "기차는 일반석 요금을 지급합니다.", "숙박비는 하루 15만원까지입니다."]),
        Document(
            title: "ระเบียบการลา",
            passages: [
                "พนักงานทุกคนมีวันลาพักร้อน 28 วันต่อปี", "ใบลาต้องส่งให้หัวหน้าทีมล่วงหน้าสองสัปดาห์",
                "วันลาที่เหลือจะหมดอายุสิ้นเดือนมีนาคม", "ลาป่วยเกินสามวันต้องมีใบรับรองแพทย์",
            ]),
        Document(
            title: "ความปลอดภัยของข้อมูล",
            passages: [
                "รหัสผ่านต้องมีอย่างน้อยสิบสี่ตัวอักษร", "การทำงานจากบ้านต้องเชื่อมต่อผ่าน VPN",
                "ระบบสำรองข้อมูลทุกคืนเวลาตีสอง", "แล็ปท็อปที่สูญหายให้แจ้งฝ่ายไอที",
            ]),
        Document(
            title: "ค่าใช้จ่ายเดินทาง",
            passages: [
                "ใบเสร็จต้องส่งภายในสามสิบวันหลังเดินทาง", "ค่าที่พักไม่เกินคืนละสองพันบาท", "ตั๋วรถไฟเบิกได้เฉพาะชั้นสอง",
            ]),
    ]

    /// The questions with the beginnings of the passages that answer them.
    package static let questions: [Question] = [
        Question(language: "en", text: "How many days of leave does an employee have?", answer: "Every employee"),
        Question(language: "en", text: "When does leftover leave end?", answer: "Leave that is left"),
        Question(language: "en", text: "I forgot my password, who helps?", answer: "Who forgets"),
        Question(language: "en", text: "second factor for VPN", answer: "The VPN"),
        Question(language: "en", text: "Whom do I send a reqest to?", answer: "Requests go"),
        Question(language: "en", text: "minimum characters in passwords", answer: "A password"),

        Question(language: "de", text: "Wie viele Urlaubstage habe ich?", answer: "Alle Beschäftigten"),
        Question(language: "de", text: "Wann verfällt der Resturlaub?", answer: "Resturlaub"),
        Question(
            language: "de", text: "Bis wann muss ich die Reisekostenabrechnung einreichen?", answer: "Reisekostenab"),
        Question(language: "de", text: "Welche Klasse bei einer Bahnfahrt?", answer: "Für Bahnfahrten"),
        Question(language: "de", text: "Was darf eine Hotelübernachtung kosten?", answer: "Hotelübernachtungen"),
        Question(language: "de", text: "An wen geht mein Antrag?", answer: "Anträge"),

        Question(language: "fr", text: "Combien de jours de congé par an ?", answer: "Chaque salarié"),
        Question(language: "fr", text: "Quand se fait la sauvegarde ?", answer: "Les sauvegardes"),
        Question(language: "fr", text: "Peut-on télétravailler ?", answer: "Le télétravail"),
        Question(language: "fr", text: "Comment récupérer une donnée supprimée ?", answer: "Les données"),
        Question(language: "fr", text: "Où sont les bandes ?", answer: "Les bandes"),
        Question(language: "fr", text: "À qui adresser ma demande ?", answer: "La demande"),

        Question(language: "ru", text: "Сколько дней отпуск у сотрудника?", answer: "Каждый сотрудник"),
        Question(language: "ru", text: "Когда сгорают неиспользованные дни?", answer: "Неиспользованные"),
        Question(language: "ru", text: "Кому подавать заявления?", answer: "Заявление"),
        Question(language: "ru", text: "Какой билет на поезде оплачивают?", answer: "Билеты"),
        Question(language: "ru", text: "Срок отчёта по командировкам", answer: "Отчёт"),
        Question(language: "ru", text: "Как поменять пароли?", answer: "Пароль"),

        Question(language: "zh", text: "员工每年有多少天年假？", answer: "每位员工"),
        Question(language: "zh", text: "没用完的年假什么时候失效", answer: "未使用"),
        Question(language: "zh", text: "忘记密码怎么办？", answer: "忘记密码"),
        Question(language: "zh", text: "在家远程办公怎么连接公司网络", answer: "远程办公"),
        Question(language: "zh", text: "报销", answer: "报销单"),
        Question(language: "zh", text: "什么时候做数据备份？", answer: "数据备份"),
        Question(language: "zh", text: "生病请病假要医生证明吗", answer: "病假"),
        Question(language: "zh", text: "税", answer: "税"),

        Question(language: "ja", text: "有給休暇は何日ありますか？", answer: "従業員には"),
        Question(language: "ja", text: "休暇はいつまでに申請すればいいですか", answer: "休暇の申請"),
        Question(language: "ja", text: "パスワードの長さは？", answer: "パスワードは"),
        Question(language: "ja", text: "VPNは必要ですか", answer: "社外から"),
        Question(language: "ja", text: "バックアップの時刻を教えてください", answer: "バックアップ"),
        Question(language: "ja", text: "端末をなくしました。どこに連絡しますか？", answer: "紛失した"),
        Question(language: "ja", text: "育休はどれくらい取得できますか", answer: "育児休業"),
        Question(language: "ja", text: "ﾊﾞｯｸｱｯﾌﾟ", answer: "バックアップ"),

        Question(language: "ko", text: "유급휴가는 며칠인가요?", answer: "모든 직원은"),
        Question(language: "ko", text: "휴가를 누구에게 신청하나요", answer: "휴가 신청은"),
        Question(language: "ko", text: "비밀번호 길이", answer: "비밀번호는"),
        Question(language: "ko", text: "노트북을 분실했어요", answer: "분실한"),
        Question(language: "ko", text: "백업 시간이 언제인가요?", answer: "백업은"),
        Question(language: "ko", text: "영수증 제출 기한", answer: "영수증은"),

        Question(language: "th", text: "พนักงานมีวันลาพักร้อนกี่วัน", answer: "พนักงานทุกคน"),
        Question(language: "th", text: "รหัสผ่านต้องยาวเท่าไร", answer: "รหัสผ่าน"),
        Question(language: "th", text: "ลาป่วยต้องใช้ใบรับรองแพทย์ไหม", answer: "ลาป่วย"),
        Question(language: "th", text: "สำรองข้อมูลตอนกี่โมง", answer: "ระบบสำรอง"),
        Question(language: "th", text: "ใบเสร็จส่งภายในกี่วัน", answer: "ใบเสร็จ"),
        Question(language: "th", text: "ค่าที่พักเบิกได้เท่าไร", answer: "ค่าที่พัก"),
    ]

    /// Questions that no passage answers.
    package static let unrelated = [
        "quantum chromodynamics", "Wetterbericht Kapstadt", "恐龙为什么灭绝", "恐竜はなぜ絶滅したの", "공룡은 왜 멸종했을까",
        "ไดโนเสาร์สูญพันธุ์เพราะอะไร", "динозавры вымерли", "zzzz", "x",
    ]
}

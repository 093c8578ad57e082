/// Documents of the demo company: handbook pages, policies and minutes that people would ask about.
package enum DemoDocuments {
    /// Demo documents.
    package static let all: [Document] = [
        Document(
            title: "Holiday and Leave Policy",
            body: """
                Full-time employees have 28 days of paid holiday a year, in addition to public holidays. Part-time \
                employees have the same number of weeks.

                Holiday is requested in the self-service portal at least two weeks ahead; requests of up to two days \
                need three working days' notice. The team lead answers within two working days.

                Up to five days may be carried over into the next year. They expire on 31 March unless illness or \
                parental leave prevented taking them.

                In case of illness, tell your team lead before nine in the morning. A doctor's certificate is needed \
                from the third day.
                """),
        Document(
            title: "Expense and Travel Policy",
            body: """
                Travel is booked through the travel desk. Trains are preferred for journeys of up to five hours; \
                flights are economy class.

                Receipts are uploaded within 30 days of the journey. Expenses without a receipt are refunded up to \
                15 euros a day.

                Hotels may cost up to 140 euros a night, 190 euros in the cities of list B. The approval of the \
                department head is needed above that.

                Expenses are refunded with the next payroll run when they are approved by the tenth of the month.
                """),
        Document(
            title: "Q2 Status Report",
            body: """
                Of 61 projects planned for the second quarter, 44 are on schedule, 11 are late by less than two weeks \
                and 6 need a decision of the steering board.

                Urgent Q2 is the escalation of the quarter: the warehouse interface must be live before the June \
                stocktaking. The label printers are ordered, the rehearsal is on 28 May.

                Revenue in the second quarter is 4 percent above plan because the fleet rollout was invoiced early. \
                Cost is on plan.

                Risks: two key people of the billing migration are on parental leave from July, and the certificate \
                of the customer portals expires on 14 June.
                """),
        Document(
            title: "Incident Response Runbook",
            body: """
                Whoever notices an incident opens a ticket of priority 1 and calls the on-call engineer. The number \
                is on the first page of the intranet. Do not wait for certainty.

                The on-call engineer leads until another person takes over by name. One person repairs, one person writes \
                the log, one person informs the customers.

                Customers hear from us within 30 minutes of a priority 1 incident and every hour after that, also \
                when there is nothing new.

                A review without blame takes place within five working days. Its actions have an owner and a date.
                """),
        Document(
            title: "On-Call Guide",
            body: """
                The on-call week begins on Wednesday at ten. Hand over in person: open incidents, changes planned for \
                the week, alarms that were silenced.

                Alarms of priority 1 are answered within 15 minutes at any hour, alarms of priority 2 within two \
                hours between seven and twenty-two.

                On-call time is paid with 20 percent of the hourly rate, work during it with 150 percent. After work \
                at night the next morning is free.
                """),
        Document(
            title: "Backup and Restore",
            body: """
                Databases are backed up every night at two and the write-ahead log every five minutes. Backups are \
                kept for 35 days, monthly ones for two years.

                A restore is rehearsed every quarter with a database chosen by lot. The rehearsal counts only if \
                the engineer has used nothing but the runbook.

                To restore a single table, restore the whole backup beside the live database, then copy the rows. \
                Never restore over a live database.
                """),
        Document(
            title: "Password and Access Policy",
            body: """
                Passwords have at least 14 characters and come from the password manager. They are changed when there \
                is a reason to, not by the calendar.

                Access is granted by role. Access outside the role is requested in a ticket, approved by the owner of \
                the data, and expires after 90 days.

                Two-factor authentication is required for the VPN, e-mail and every system with customer data. A lost \
                second factor is reported to the service desk the same day.
                """),
        Document(
            title: "Remote Work Agreement",
            body: """
                Up to three days a week may be worked from home. Teams agree on one common day in the office.

                Working from another country needs the consent of the people department, because tax and social \
                security depend on it. Up to 20 days a year within the European Union are approved as a rule.

                The company pays for a screen, a chair and 30 euros a month for electricity and network.
                """),
        Document(
            title: "Onboarding Checklist",
            body: """
                Before the first day: account, laptop, access card and a desk. The buddy writes a message of welcome \
                with the plan of the first week.

                First week: security training, the tour of the warehouse, a first change in production together with \
                the buddy.

                After 30 and 90 days the team lead asks what is missing, and writes it down.
                """),
        Document(
            title: "Warehouse Interface Specification",
            body: """
                The warehouse management system sends stock movements as messages every 60 seconds. Each message has \
                a sequence number; a gap is asked for again within five minutes.

                Article numbers have eleven digits with a check digit. Messages with a wrong check digit are put \
                aside and listed on the page Rejected Movements.

                During the stocktaking the interface is read-only from 18:00 to 06:00. Movements of that time are \
                queued by the warehouse and sent afterwards.
                """),
        Document(
            title: "Customer Support Service Levels",
            body: """
                Gold customers have support around the clock with a first answer within 30 minutes. Silver customers \
                have support from seven to nineteen with a first answer within four hours.

                Availability is measured at our network's edge, per calendar month, without announced maintenance. \
                The target is 99.9 percent for gold and 99.5 percent for silver customers.

                Below the target, gold customers get a credit of five percent of the monthly fee for every tenth of a \
                percent, at most 50 percent.
                """),
        Document(
            title: "Procurement Guideline",
            body: """
                Purchases of up to 500 euros are decided by the team, up to 10 000 euros by the department head. Above \
                that, three offers and the signature of finance are needed.

                Software that processes personal data needs a review by data protection before the order, also when \
                it is free.

                Framework contracts exist for laptops, printers, mobile phones and cloud services. Use them.
                """),
        Document(
            title: "Data Retention Schedule",
            body: """
                Invoices and contracts are kept for ten years, offers for six years, applications of candidates for \
                six months after the decision.

                Chat messages and support tickets are deleted after 24 months unless they belong to an open case. \
                Backups follow their own schedule.

                Requests of persons for information or deletion are answered by data protection within 30 days.
                """),
        Document(
            title: "Release Process",
            body: """
                Releases happen on Tuesdays and Thursdays before noon. A release needs a green build, a reviewed \
                change and a way back that was tried.

                Changes of the database are made in two steps: first the schema grows, then, a release later, what is \
                no longer used is removed.

                Between 15 December and 6 January only repairs are released.
                """),
        Document(
            title: "Minutes of the Steering Board, May",
            body: """
                The board moves two developers from the helpdesk redesign to Urgent Q2 until the end of June.

                The billing migration may start its parallel run without the archive. The archive follows in the \
                third quarter.

                The budget of the energy reporting rollout is raised by 40 000 euros for the sites in Skåne. Next \
                meeting: 16 June.
                """),
        Document(
            title: "Energy Reporting Handbook",
            body: """
                Meters report every 15 minutes. A missing value is interpolated for up to two hours, and marked; after \
                that the meter counts as failed.

                The monthly report is created on the third working day. Corrections afterwards create a new version, \
                and the old one stays readable.

                The emission factor of electricity is updated each January from the national registry.
                """),
    ]
}
